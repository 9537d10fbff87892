package codec_test

import (
	"slices"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/codec"
)

// JSON of 1.0 is read but never written; what is chosen always has an encoder.
func TestChooseWrite(t *testing.T) {
	for _, v := range []lwm2m.Version{lwm2m.Version10, lwm2m.Version11, lwm2m.Version12} {
		for _, announced := range [][]uint16{nil, {codec.JSON}, {codec.JSON, codec.TLV}, {codec.Link, 999}} {
			got := codec.ChooseWrite(v, announced, lwm2m.NewPath(3, 0), lwm2m.KindNone)
			if len(got) == 0 || slices.Contains(got, codec.JSON) {
				t.Errorf("ChooseWrite(%s, %v) = %v", v, announced, got)
			}
			for _, f := range got {
				in := []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(1)}}
				if _, err := codec.Encode(f, lwm2m.NewPath(3, 0), in, nil); err != nil {
					t.Errorf("Encode(%d) = %v", f, err)
				}
			}
		}
	}
}
