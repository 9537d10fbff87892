package signlog

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"time"

	"steward/lwm2m/server"
)

// A record is the checksum of what follows, the location, the time in Unix
// microseconds, the lifetime in seconds, and the address, an IPv4 one as IPv6, with
// its port; all in big-endian order. Zones of addresses are not kept.
const (
	checksumSize = 4
	recordSize   = checksumSize + 16 + 8 + 4 + 16 + 2
)

// castagnoli is the polynomial with support in processors.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(b []byte, s server.Sign) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, s.Location[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Lifetime/time.Second)) //nolint:gosec // G115: came from 32 bits
	address := s.Address.Addr().As16()
	b = append(b, address[:]...)
	b = binary.BigEndian.AppendUint16(b, s.Address.Port())
	binary.BigEndian.PutUint32(b[start:], crc32.Checksum(b[start+checksumSize:], castagnoli))
	return b
}

// parseRecord reads a record of recordSize bytes, or reports that it is damaged.
func parseRecord(b []byte) (s server.Sign, ok bool) {
	if binary.BigEndian.Uint32(b) != crc32.Checksum(b[checksumSize:], castagnoli) {
		return s, false
	}
	b = b[checksumSize:]
	copy(s.Location[:], b)
	s.At = time.UnixMicro(int64(binary.BigEndian.Uint64(b[16:]))).UTC() //nolint:gosec // G115: as it was written
	s.Lifetime = time.Duration(binary.BigEndian.Uint32(b[24:])) * time.Second
	s.Address = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[28:44])).Unmap(), binary.BigEndian.Uint16(b[44:]))
	return s, true
}
