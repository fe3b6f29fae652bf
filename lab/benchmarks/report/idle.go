package main

import (
	"fmt"
	"image/color"
	"math"
	"runtime"

	"github.com/dustin/go-humanize"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

// few are the receivers of the picture. Those of a goal are the last.
var few = []int{1, 2, 8, 100}

func idle(receivers int) rounds.Figure {
	return rounds.Figure{Job: fmt.Sprintf("Idle/receivers=%d/peer=", receivers), Unit: rounds.Cores, Time: "1x"}
}

// drawIdle draws the cores that receivers use to wait, by how many they are.
func drawIdle(r *rounds.Results) string {
	p := rounds.LogPlot("Cores used by receivers that wait for an event: lower is better", "receivers",
		func(n float64) string { return humanize.Comma(int64(math.Round(n))) })
	p.X.Min, p.X.Max = 1, 15_000
	p.Y.Min, p.Y.Max = 0, 1.2*float64(runtime.GOMAXPROCS(0))
	p.Y.Label.Text = "cores"
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = 60, -70
	for _, curve := range []struct {
		peer      benchmarks.Peer
		title     string
		color     color.Color
		receivers []int
	}{
		{polling, "polling", color.RGBA{0xb9, 0x3c, 0x0c, 0xff}, few},
		{memstreamer, "parked in memstreamer", color.RGBA{0x0b, 0x63, 0xb5, 0xff}, append(few[:4:4], 10_000)},
	} {
		var points plotter.XYs
		for _, n := range curve.receivers {
			points = append(points, plotter.XY{X: float64(n), Y: r.Of(idle(n), curve.peer).Median()})
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			panic(err) // Cores are finite.
		}
		line.Color, dots.Color, line.Width = curve.color, curve.color, 2
		dots.Shape = draw.CircleGlyph{}
		p.Add(line, dots)
		last := points[len(points)-1]
		p.Legend.Add(fmt.Sprintf("%s: %s cores for %s", curve.title, rounds.Show(rounds.Cores, last.Y), humanize.Comma(int64(last.X))), line)
	}
	return rounds.SVG(p)
}
