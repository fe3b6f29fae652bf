package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/memstreamer/memstreamer/benchmarks"
)

var (
	ink   = color.NRGBA{R: 0x1f, G: 0x29, B: 0x37, A: 0xff}
	grey  = color.NRGBA{R: 0x6b, G: 0x72, B: 0x80, A: 0xff}
	faint = color.NRGBA{R: 0xdd, G: 0xe1, B: 0xe6, A: 0xff}
	blue  = color.NRGBA{R: 0x0b, G: 0x63, B: 0xb5, A: 0xff}
	red   = color.NRGBA{R: 0xb9, G: 0x3c, B: 0x0c, A: 0xff}
)

const (
	pictureWidth  = 22 * vg.Centimeter
	pictureHeight = 9 * vg.Centimeter
	textSize      = vg.Length(11)
)

// drawHandoff draws how long each peer takes for a hand-off, the fastest on
// top: its median, and a line over the range of its rounds.
func drawHandoff(file string, r *results) error {
	type row struct {
		peer benchmarks.Peer
		time sample
	}
	var rows []row
	for _, peer := range benchmarks.Peers {
		rows = append(rows, row{peer, r.of(peers, "Handoff/peer="+peer.Name, seconds)})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.time.median(), a.time.median()) })

	p := newPlot(r, "Time of a hand-off, there and back: lower is better")
	from := math.Inf(1) // the power of ten below the fastest
	var to float64
	for _, row := range rows {
		from = min(from, math.Pow(10, math.Floor(math.Log10(row.time.min()))))
		to = max(to, 1.2*row.time.max())
	}
	var names []string
	for i, row := range rows {
		names = append(names, row.peer.Title)
		hue := grey
		if row.peer.Name == benchmarks.Peers[0].Name {
			hue = blue
		}
		y := float64(i)
		whole, err := line(hue, 1.5, plotter.XYs{{X: row.time.min(), Y: y}, {X: row.time.max(), Y: y}})
		if err != nil {
			return err
		}
		median, err := dots(hue, plotter.XYs{{X: row.time.median(), Y: y}})
		if err != nil {
			return err
		}
		label, err := labels(hue, text.XCenter, plotter.XYLabels{
			XYs:    plotter.XYs{{X: row.time.median(), Y: y}},
			Labels: []string{duration(row.time.median())},
		})
		if err != nil {
			return err
		}
		label.Offset = vg.Point{Y: 11}
		guide, err := line(faint, 0.5, plotter.XYs{{X: from, Y: y}, {X: to, Y: y}})
		if err != nil {
			return err
		}
		p.Add(guide, whole, median, label)
	}
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = decades(tickTime)
	p.X.Min, p.X.Max = from, to
	p.NominalY(names...)
	p.Y.Tick.Label.Font.Size = textSize
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.3
	return save(file, p, fmt.Sprintf("on a log scale: the median of %s, and their range", count(r.rounds, "round")))
}

// drawIdle draws the cores that receivers use to wait, by how many they are.
func drawIdle(file string, r *results) error {
	p := newPlot(r, "Cores used by receivers that wait for an event")
	p.Y.Label.Text = "cores"
	// The label goes right of the last point where there is room, else above it.
	curve := func(streamer, label string, hue color.Color, align text.XAlignment, offset vg.Point, receivers []int) error {
		var points plotter.XYs
		for _, n := range receivers {
			points = append(points, plotter.XY{X: float64(n), Y: r.of(library, idleBench(n, streamer), cores).median()})
		}
		joined, err := line(hue, 2, points)
		if err != nil {
			return err
		}
		marks, err := dots(hue, points)
		if err != nil {
			return err
		}
		last := points[len(points)-1]
		name, err := labels(hue, align, plotter.XYLabels{
			XYs:    plotter.XYs{last},
			Labels: []string{fmt.Sprintf("%s: %s cores for %s", label, coresUsed(last.Y), tickCount(last.X))},
		})
		if err != nil {
			return err
		}
		name.Offset = offset
		p.Add(joined, marks, name)
		return nil
	}
	all := float64(runtime.GOMAXPROCS(0))
	for n := range runtime.GOMAXPROCS(0) {
		level, err := line(faint, 0.5, plotter.XYs{{X: 0.7, Y: float64(n + 1)}, {X: 15_000, Y: float64(n + 1)}})
		if err != nil {
			return err
		}
		p.Add(level)
	}
	if err := curve("polling", "polling", red, text.XLeft, vg.Point{X: 9, Y: 1}, spinning); err != nil {
		return err
	}
	if err := curve("memstreamer", "parked in memstreamer", blue, text.XRight, vg.Point{Y: 12}, append(slices.Clone(parked), 10_000)); err != nil {
		return err
	}
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = decades(tickCount)
	p.X.Min, p.X.Max = 0.7, 15_000
	p.Y.Min, p.Y.Max = 0, all*1.2
	p.Y.Tick.Marker = plot.TickerFunc(func(float64, float64) (ticks []plot.Tick) {
		for n := range runtime.GOMAXPROCS(0) + 1 {
			ticks = append(ticks, plot.Tick{Value: float64(n), Label: fmt.Sprint(n)})
		}
		return ticks
	})
	return save(file, p, "receivers, on a log scale")
}

func newPlot(r *results, title string) *plot.Plot {
	if r.quick {
		title = quickNote
	}
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = 14
	p.Title.TextStyle.Color = ink
	p.Title.Padding = vg.Points(8)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = textSize
		axis.Label.TextStyle.Color = ink
		axis.Label.Padding = vg.Points(5)
		axis.Tick.Label.Font.Size = textSize
		axis.Tick.Label.Color = ink
		axis.Color, axis.Tick.Color = grey, grey
		axis.Padding = 0
	}
	return p
}

// decades ticks the powers of ten from a billionth to a billion.
func decades(format func(float64) string) plot.Ticker {
	return plot.TickerFunc(func(from, to float64) (ticks []plot.Tick) {
		for exponent := -9; exponent <= 9; exponent++ {
			if power := math.Pow10(exponent); power >= from && power <= to {
				ticks = append(ticks, plot.Tick{Value: power, Label: format(power)})
			}
		}
		return ticks
	})
}

func line(hue color.Color, width vg.Length, points plotter.XYs) (*plotter.Line, error) {
	l, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	l.Color, l.Width = hue, width
	return l, nil
}

func dots(hue color.Color, points plotter.XYs) (*plotter.Scatter, error) {
	s, err := plotter.NewScatter(points)
	if err != nil {
		return nil, err
	}
	s.GlyphStyle = draw.GlyphStyle{Color: hue, Radius: vg.Points(4), Shape: draw.CircleGlyph{}}
	return s, nil
}

func labels(hue color.Color, align text.XAlignment, of plotter.XYLabels) (*plotter.Labels, error) {
	l, err := plotter.NewLabels(of)
	if err != nil {
		return nil, err
	}
	for i := range l.TextStyle {
		style := &l.TextStyle[i]
		style.Font = font.From(plot.DefaultFont, textSize)
		style.Color = hue
		style.XAlign, style.YAlign = align, text.YCenter
	}
	return l, nil
}

func tickTime(sec float64) string {
	power := time.Duration(math.Round(sec * 1e9))
	return strings.TrimRight(power.String(), "nµms") + " " + strings.TrimLeft(power.String(), "0123456789")
}

func tickCount(n float64) string { return thousands(int(n)) }

// save writes p as an SVG whose text is in the first font of its kind that the
// viewer has: the three are of equal widths. The caption is no label of the X
// axis, for which plot would leave room in the wrong place on a log scale.
func save(file string, p *plot.Plot, caption string) error {
	canvas := vgsvg.New(pictureWidth, pictureHeight)
	all := draw.New(canvas)
	p.Draw(draw.Crop(all, 6, -14, 26, -6))
	style := p.Y.Label.TextStyle
	style.Rotation, style.XAlign, style.YAlign = 0, text.XCenter, text.YBottom
	all.FillText(style, vg.Point{X: pictureWidth / 2, Y: 8}, caption)
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	const family = "font-family:Liberation Sans"
	return os.WriteFile(file, bytes.ReplaceAll(svg.Bytes(), []byte(family), []byte(family+",Arial,Helvetica")), 0o644)
}
