// Command engine measures luno/workflow itself, on its own in-memory adapter and on
// memstreamer, with its outbox polled and parked: what a run takes, and what waiting
// costs. It makes tables of RESULTS.md and of the
// README, and the picture of runs:
//
//	go run -C lab/benchmarks ./engine -h
package main

import (
	"image/color"
	"slices"
	"time"

	"gonum.org/v1/plot/plotter"
	vgdraw "gonum.org/v1/plot/vg/draw"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

func main() { command.Main() }

var command = rounds.Command{
	Name:   "engine",
	About:  "Engine measures luno/workflow on its own in-memory adapter and on memstreamer.",
	Rounds: 5,
	Round:  2 * time.Minute,
	Plan:   rounds.Plan(rounds.Peers, columns, peers...),
	Outputs: []rounds.Output{
		{File: "README.md", Section: "engine", Text: func(r *rounds.Results) string {
			return table([]rounds.Figure{slow, slowest, fast, atOnce, idle}, false).Markdown(r) + note
		}},
		{File: "lab/benchmarks/RESULTS.md", Section: "engine", Text: func(r *rounds.Results) string {
			return table(columns, true).Markdown(r) + note + "\n" + r.Goals(goals, peers[3])
		}},
		{File: "lab/benchmarks/engine.svg", Text: draw},
	},
}

var peers = func() (all []benchmarks.Peer) {
	for _, a := range benchmarks.Arrangements {
		all = append(all, a.Peer)
	}
	return all
}()

const (
	at20  = "Engine/load=20/peer="
	at200 = "Engine/load=200/peer="
	burst = "Engine/load=at-once/peer="
	mean  = "mean-sec"
	p99   = "p99-sec"
)

var (
	slow    = rounds.Figure{Head: "mean at 20 a second", Job: at20, Unit: mean, Time: "200x"}
	slowest = rounds.Figure{Head: "p99", Job: at20, Unit: p99, Time: "200x"}
	fast    = rounds.Figure{Head: "mean at 200 a second", Job: at200, Unit: mean, Time: "1000x"}
	atOnce  = rounds.Figure{Head: "CPU of all at once", Job: burst, Unit: rounds.CPU, Time: "2000x"}
	idle    = rounds.Figure{Head: "idle, cores", Job: "EngineIdle/peer=", Unit: rounds.Cores, Time: "6x"}

	columns = []rounds.Figure{
		slow, slowest, {Head: "CPU", Job: at20, Unit: rounds.CPU, Time: "200x"},
		fast, {Head: "p99", Job: at200, Unit: p99, Time: "1000x"}, {Head: "CPU", Job: at200, Unit: rounds.CPU, Time: "1000x"},
		{Head: "mean of all at once", Job: burst, Unit: mean, Time: "2000x"}, atOnce, idle,
	}
	goals = []rounds.Goal{
		{Figure: slow, Over: peers[0], Bar: 0.001},
		{Figure: slow, Over: peers[2], Bar: 0.8},
		{Figure: atOnce, Over: peers[0], Bar: 0.6},
		{Figure: atOnce, Over: peers[2], Bar: 0.6},
		{Figure: idle, Bar: 0.0003},
	}
)

func table(figures []rounds.Figure, interval bool) rounds.Table {
	return rounds.Table{Corner: "a run of five steps on", Figures: figures, Peers: peers, Interval: interval}
}

// note says what the figures are of, and what they are not of.
const note = `
Eight workflows of five steps that do nothing, on luno/workflow v0.5.0; all at once are
2,000 runs, and CPU is a run's. A run waits for the engine's outbox, where the engine looks
every 250 ms: that is the gain, so expect none for steps that are slow themselves. Under
load (a tenth of the tries fail, timers of 20 to 30 ms), CPU and end-to-end times are
about equal.
`

// draw draws what a run takes.
func draw(r *rounds.Results) string {
	p := rounds.LogPlot("Mean time of a run of five steps, at 20 runs a second: lower is better", "on a log scale",
		func(sec float64) string { return rounds.Show(mean, sec) })
	var points plotter.XYs
	var titles, labels []string
	for i, peer := range slices.Backward(peers) {
		v := r.Of(slow, peer).Median()
		points = append(points, plotter.XY{X: v, Y: float64(len(peers) - 1 - i)})
		titles, labels = append(titles, peer.Title), append(labels, "  "+rounds.Show(mean, v))
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		panic(err) // Times are finite.
	}
	words, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: labels})
	if err != nil {
		panic(err)
	}
	dots.Color, dots.Radius, dots.Shape = color.RGBA{0x0b, 0x63, 0xb5, 0xff}, 5, vgdraw.CircleGlyph{}
	words.Offset.Y = 6
	p.Add(plotter.NewGrid(), dots, words)
	p.NominalY(titles...)
	p.X.Min, p.X.Max = 1e-4, 5
	p.Y.Min, p.Y.Max = -0.5, float64(len(peers))-0.5
	return rounds.SVG(p)
}
