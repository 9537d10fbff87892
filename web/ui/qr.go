package ui

import (
	"strconv"
	"strings"

	"rsc.io/qr"
)

// quietZone is the white border that scanners need, in modules (ISO/IEC 18004 §9.1).
const quietZone = 4

// A qrCode is a QR code as the path of an SVG.
type qrCode struct {
	Size int    // of the view box, in modules
	Path string // the dark modules
}

// newQR encodes text, with as much redundancy as a label that gets scratched needs, or
// less where the text is long. It returns an error for text that no code holds.
func newQR(text string) (qrCode, error) {
	level := qr.M
	const long = 400 // bytes: beyond it the modules get too small
	if len(text) > long {
		level = qr.L
	}
	code, err := qr.Encode(text, level)
	if err != nil {
		return qrCode{}, err
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				path.WriteString("M" + strconv.Itoa(from+quietZone) + " " + strconv.Itoa(y+quietZone) +
					"h" + strconv.Itoa(x-from) + "v1H" + strconv.Itoa(from+quietZone) + "z")
			}
		}
	}
	return qrCode{Size: code.Size + 2*quietZone, Path: path.String()}, nil
}
