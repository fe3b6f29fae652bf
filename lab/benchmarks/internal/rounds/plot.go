package rounds

import (
	"bytes"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// LogPlot returns a plot with an X axis on a log scale, whose ticks name writes.
func LogPlot(title, x string, name func(float64) string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = x
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = plot.TickerFunc(func(least, largest float64) []plot.Tick {
		ticks := plot.LogTicks{Prec: -1}.Ticks(least, largest)
		for i := range ticks {
			if !ticks[i].IsMinor() {
				ticks[i].Label = name(ticks[i].Value)
			}
		}
		return ticks
	})
	return p
}

// SVG draws p.
func SVG(p *plot.Plot) string {
	var svg bytes.Buffer
	to, err := draw.NewFormattedCanvas(22*vg.Centimeter, 9*vg.Centimeter, "svg")
	if err == nil {
		p.Draw(draw.New(to))
		_, err = to.WriteTo(&svg)
	}
	if err != nil {
		panic(err) // the format is known, and a Buffer takes everything
	}
	return strings.ReplaceAll(svg.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
}
