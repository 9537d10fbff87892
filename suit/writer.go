package suit

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// appendHead appends the initial bytes of an item in their shortest form.
func appendHead(b []byte, major byte, arg uint64) []byte {
	first := major << 5
	switch {
	case arg < 24:
		return append(b, first|byte(arg))
	case arg <= math.MaxUint8:
		return append(b, first|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, first|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, first|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(b, first|27), arg)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNegative, uint64(-1-n))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendBytes(b, content []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(content))), content...)
}

// encodeText returns a text string.
func encodeText(text string) []byte {
	return append(appendHead(nil, majorText, uint64(len(text))), text...)
}

// wrap returns content as a byte string, header included.
func wrap(content []byte) []byte { return appendBytes(nil, content) }

// appendMap appends a map in deterministic order.
func appendMap(b []byte, pairs []pair) []byte {
	pairs = slices.Clone(pairs)
	slices.SortFunc(pairs, func(x, y pair) int { return bytes.Compare(x.key, y.key) })
	b = appendHead(b, majorMap, uint64(len(pairs)))
	for _, p := range pairs {
		b = append(append(b, p.key...), p.value...)
	}
	return b
}

func intKey(n int64) item { return appendInt(nil, n) }
