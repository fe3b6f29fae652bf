package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/memstreamer/memstreamer/lab/benchmarks"
	"github.com/memstreamer/memstreamer/lab/benchmarks/internal/rounds"
)

const (
	ink, grey, faint = "#1f2937", "#6b7280", "#dde1e6"
	blue, red        = "#0b63b5", "#b93c0c"
)

const pictureWidth, pictureHeight = 880, 360

type point struct{ x, y float64 }

// picture is an SVG whose methods draw on it. Its Y axis points down.
type picture struct{ strings.Builder }

func (r report) picture(title, caption string) *picture {
	if r.quick {
		title = quickNote
	}
	p := new(picture)
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="Liberation Sans,Arial,Helvetica,sans-serif" font-size="15">
<rect width="100%%" height="100%%" fill="#fff"/>
`, pictureWidth, pictureHeight)
	p.text(ink, "middle", point{pictureWidth / 2, 26}, title)
	p.text(ink, "middle", point{pictureWidth / 2, pictureHeight - 12}, caption)
	return p
}

func (p *picture) text(hue, anchor string, at point, words string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", at.x, at.y, anchor, hue, html.EscapeString(words))
}

func (p *picture) line(hue string, width float64, through ...point) {
	fmt.Fprintf(p, `<polyline fill="none" stroke="%s" stroke-width="%.1f" points="`, hue, width)
	for _, at := range through {
		fmt.Fprintf(p, "%.1f,%.1f ", at.x, at.y)
	}
	p.WriteString("\"/>\n")
}

func (p *picture) dot(hue string, at point) {
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`+"\n", at.x, at.y, hue)
}

func (p *picture) done() string { return p.String() + "</svg>\n" }

// logAxis draws an X axis from one value to another, with a tick at each power
// of ten, and returns where on it a value is.
func (p *picture) logAxis(left, right, y, from, to float64, name func(float64) string) (x func(float64) float64) {
	x = func(v float64) float64 { return left + (right-left)*math.Log(v/from)/math.Log(to/from) }
	p.line(grey, 1, point{left, y}, point{right, y})
	for exponent := math.Ceil(math.Log10(from)); math.Pow(10, exponent) <= to; exponent++ {
		at := x(math.Pow(10, exponent))
		p.line(grey, 1, point{at, y}, point{at, y + 6})
		p.text(ink, "middle", point{at, y + 22}, name(math.Pow(10, exponent)))
	}
	return x
}

// drawHandoff draws how long each peer takes for a hand-off, the fastest on
// top: its median, and a line over the range of its rounds.
func (r report) drawHandoff() string {
	time := func(peer benchmarks.Peer) rounds.Sample { return r.Of("Handoff/peer="+peer.Name, rounds.Seconds) }
	rows := slices.SortedFunc(slices.Values(benchmarks.Peers), func(a, b benchmarks.Peer) int {
		return cmp.Compare(time(a).Median(), time(b).Median())
	})
	from, to := math.Inf(1), 0.0
	for _, peer := range rows {
		least, largest := time(peer).Bounds()
		from = min(from, math.Pow(10, math.Floor(math.Log10(least))))
		to = max(to, 1.2*largest)
	}
	p := r.picture("Time of a hand-off, there and back: lower is better",
		fmt.Sprintf("on a log scale: the median of %s, and their range", english.Plural(r.Rounds, "round", "")))
	const left, right, top, bottom = 240, 860, 68, 300
	x := p.logAxis(left, right, bottom, from, to, rounds.Tick)
	for i, peer := range rows {
		hue := grey
		if peer.Name == benchmarks.Peers[0].Name {
			hue = blue
		}
		y := top + float64(i)*(bottom-top)/float64(len(rows))
		p.text(ink, "end", point{left - 10, y + 5}, peer.Title)
		p.line(faint, 1, point{left, y}, point{right, y})
		least, largest := time(peer).Bounds()
		p.line(hue, 2, point{x(least), y}, point{x(largest), y})
		median := time(peer).Median()
		p.dot(hue, point{x(median), y})
		p.text(hue, "middle", point{x(median), y - 9}, rounds.Show(rounds.Seconds, median))
	}
	return p.done()
}

// drawIdle draws the cores that receivers use to wait, by how many they are.
func (r report) drawIdle() string {
	p := r.picture("Cores used by receivers that wait for an event: lower is better", "receivers, on a log scale")
	const left, right, top, bottom = 40, 860, 75, 290
	x := p.logAxis(left, right, bottom+10, 0.7, 15_000, tickCount)
	all := runtime.GOMAXPROCS(0)
	y := func(cores float64) float64 { return bottom - (bottom-top)*cores/float64(all) }
	for n := range all + 1 {
		p.line(faint, 1, point{left, y(float64(n))}, point{right, y(float64(n))})
		p.text(ink, "end", point{left - 10, y(float64(n)) + 5}, fmt.Sprint(n))
	}
	curve := func(streamer, label, hue string, receivers []int) {
		var points []point
		var last float64
		for _, n := range receivers {
			last = r.Of(idle(n, streamer), rounds.Cores).Median()
			points = append(points, point{x(float64(n)), y(last)})
			p.dot(hue, points[len(points)-1])
		}
		p.line(hue, 2.5, points...)
		end := points[len(points)-1]
		p.text(hue, "end", point{end.x, end.y - 12}, fmt.Sprintf("%s: %s cores for %s",
			label, rounds.Show(rounds.Cores, last), humanize.Comma(int64(receivers[len(receivers)-1]))))
	}
	curve("polling", "polling", red, spinning)
	curve("memstreamer", "parked in memstreamer", blue, append(slices.Clone(parked), 10_000))
	return p.done()
}

func tickCount(n float64) string { return humanize.Comma(int64(math.Round(n))) }
