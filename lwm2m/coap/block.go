package coap

// A block is the value of a Block1 or Block2 option (RFC 7959 §2.2).
type block struct {
	num  uint32
	more bool
	szx  uint8 // size exponent: 0..6 for 16..1024 bytes
	set  bool  // the option is present
}

// szxReserved is the size exponent that only CoAP over TCP uses (RFC 8323 §6).
const szxReserved = 7

// maxBlockNumber is the largest number that fits the option's 20 bits.
const maxBlockNumber = 1<<20 - 1

// parseBlock reads an option value; the caller has bounded it to 24 bits.
func parseBlock(v uint32) block {
	return block{num: v >> 4, more: v&8 != 0, szx: uint8(v & 7), set: true}
}

func (b block) value() uint32 {
	v := b.num<<4 | uint32(b.szx)
	if b.more {
		v |= 8
	}
	return v
}

// size is the size in bytes of every block but the last.
func (b block) size() int { return 16 << b.szx }

// offset is the position in bytes of the block in its body.
func (b block) offset() int { return int(b.num) * b.size() }

// szxOf returns the exponent of a legal block size.
func szxOf(size int) (uint8, bool) {
	for szx := range uint8(szxReserved) {
		if 16<<szx == size {
			return szx, true
		}
	}
	return 0, false
}

// numbered reports whether 20 bits number all blocks of a body.
func numbered(total int, szx uint8) bool { return total>>4>>szx <= maxBlockNumber }

// blockAt returns the block at offset of a body of length total in blocks of
// szx, and the end of the block.
func blockAt(offset, total int, szx uint8) (b block, end int) {
	b = block{szx: szx, set: true}
	b.num = uint32(offset / b.size()) //nolint:gosec // G115: a body has at most maxBlockNumber blocks
	end = min(offset+b.size(), total)
	b.more = end < total
	return b, end
}
