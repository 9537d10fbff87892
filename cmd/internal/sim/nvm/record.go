package nvm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// decode applies all whole records of raw to values and returns where they end.
func decode(raw []byte, values map[string][]byte) (end int, err error) {
	if !bytes.HasPrefix(raw, []byte(magic)) {
		return 0, ErrFormat
	}
	end = len(magic)
	for rest := raw[end:]; len(rest) > 0; rest = raw[end:] {
		payload, ok := record(rest)
		if !ok {
			if torn(rest) {
				return end, nil
			}
			return 0, fmt.Errorf("%w: damaged at offset %d", ErrFormat, end)
		}
		if err := apply(payload, values); err != nil {
			return 0, fmt.Errorf("offset %d: %w", end, err)
		}
		end += headLength + len(payload)
	}
	return end, nil
}

// record returns the payload of the first record, if it is whole.
func record(raw []byte) ([]byte, bool) {
	if len(raw) < headLength {
		return nil, false
	}
	length := binary.BigEndian.Uint32(raw)
	if length == 0 || length > maxRecord || int(length) > len(raw)-headLength {
		return nil, false
	}
	payload := raw[headLength : headLength+int(length)]
	return payload, crc32.Checksum(payload, castagnoli) == binary.BigEndian.Uint32(raw[4:])
}

// torn reports whether a record that is not whole can be the last write: it
// reaches to the end of the file, or what is there of it was never written.
func torn(raw []byte) bool {
	if len(raw) < headLength {
		return true
	}
	length := binary.BigEndian.Uint32(raw)
	return len(raw)-headLength <= int(length) || len(bytes.Trim(raw, "\x00")) == 0
}

// apply performs the changes of a payload: for each the length of the key, the
// key, and 0 for a deletion, or 1, the length of the value and the value.
func apply(payload []byte, values map[string][]byte) error {
	field := func() ([]byte, error) {
		length, n := binary.Uvarint(payload)
		if n <= 0 || length > maxRecord || int(length) > len(payload)-n {
			return nil, fmt.Errorf("%w: record", ErrFormat)
		}
		end := n + int(length)
		b := payload[n:end]
		payload = payload[end:]
		return b, nil
	}
	for len(payload) > 0 {
		key, err := field()
		if err != nil || len(payload) == 0 {
			return fmt.Errorf("%w: record", ErrFormat)
		}
		present := payload[0]
		payload = payload[1:]
		if present == 0 {
			delete(values, string(key))
			continue
		}
		value, err := field()
		if err != nil {
			return err
		}
		values[string(key)] = bytes.Clone(value)
	}
	return nil
}

func encode(changes map[string][]byte) []byte {
	payload := make([]byte, headLength)
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		payload = binary.AppendUvarint(payload, uint64(len(key)))
		payload = append(payload, key...)
		value := changes[key]
		if value == nil {
			payload = append(payload, 0)
			continue
		}
		payload = append(payload, 1)
		payload = binary.AppendUvarint(payload, uint64(len(value)))
		payload = append(payload, value...)
	}
	body := payload[headLength:]
	binary.BigEndian.PutUint32(payload, uint32(len(body))) //nolint:gosec // checked by the caller
	binary.BigEndian.PutUint32(payload[4:], crc32.Checksum(body, castagnoli))
	return payload
}
