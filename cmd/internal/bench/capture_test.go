package bench

import (
	"encoding/binary"
	"testing"
)

// protected is a record with a connection identifier, by its numbers.
func protected(key, sequence, explicit uint64, text string) []byte {
	b := []byte{25, 0xfe, 0xfd}
	b = binary.BigEndian.AppendUint64(b, 1<<48|sequence)
	b = binary.BigEndian.AppendUint64(b, key)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(text)))
	return append(binary.BigEndian.AppendUint64(b, explicit), text...)
}

// TestCapture: a number or nonce that occurs twice under one key is found,
// whichever of them it is, and nothing else is.
func TestCapture(t *testing.T) {
	type record struct {
		way                     direction
		key, sequence, explicit uint64
		text                    string
	}
	first := record{incoming, 7, 1, 1, "first"}
	for _, tt := range []struct {
		name   string
		more   record
		reused int
	}{
		{"another number", record{incoming, 7, 2, 2, "second"}, 0},
		{"another key", record{incoming, 8, 1, 1, "second"}, 0},
		{"the other way", record{outgoing, 7, 1, 1, "second"}, 0},
		{"sent again", first, 0},
		{"number reused", record{incoming, 7, 1, 2, "second"}, 1},
		{"nonce reused", record{incoming, 7, 2, 1, "second"}, 1},
		{"both reused", record{incoming, 7, 1, 1, "second"}, 2},
	} {
		c := newCapture()
		for _, r := range []record{first, tt.more} {
			c.add(r.way, protected(r.key, r.sequence, r.explicit, r.text))
		}
		c.add(incoming, []byte{22, 0xfe, 0xfd, 0}) // no record
		if all, reused := c.twice(); all != 2 || reused != tt.reused {
			t.Errorf("%s: %d records, %d reused; want 2, %d", tt.name, all, reused, tt.reused)
		}
	}
	(*capture)(nil).add(incoming, nil) // captures nothing
}
