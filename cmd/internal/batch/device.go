package batch

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Device is one that a factory is to make. All but the endpoint may be "".
type Device struct {
	Endpoint, Manufacturer, Model, Serial, Firmware string
}

// maxField bounds a field of a Device in bytes.
const maxField = 255

// ReadDevices reads the devices of a CSV file, whose first line names the columns:
// endpoint, which each device needs to itself, and manufacturer, model, serial and
// firmware. It returns ErrList.
func ReadDevices(raw []byte) ([]Device, error) {
	r := csv.NewReader(bytes.NewReader(raw))
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: first line: %w", ErrList, err)
	}
	places := make([]func(*Device) *string, len(head))
	columns := map[string]func(*Device) *string{
		"endpoint":     func(d *Device) *string { return &d.Endpoint },
		"manufacturer": func(d *Device) *string { return &d.Manufacturer },
		"model":        func(d *Device) *string { return &d.Model },
		"serial":       func(d *Device) *string { return &d.Serial },
		"firmware":     func(d *Device) *string { return &d.Firmware },
	}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if places[i] = columns[name]; places[i] == nil {
			return nil, fmt.Errorf("%w: column %.40q; endpoint, manufacturer, model, serial, firmware", ErrList, name)
		}
	}
	var out []Device
	seen := map[string]bool{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrList, err)
		}
		line, _ := r.FieldPos(0)
		var d Device
		for i, text := range row {
			*places[i](&d) = strings.TrimSpace(text)
		}
		switch {
		case len(out) == MaxEntries:
			return nil, errMany
		case d.Endpoint == "" || seen[d.Endpoint]:
			return nil, fmt.Errorf("%w: line %d: endpoint %.40q is empty, or stands twice", ErrList, line, d.Endpoint)
		case slices.ContainsFunc(row, func(text string) bool { return len(text) > maxField }):
			return nil, fmt.Errorf("%w: line %d: a field of more than %d bytes", ErrList, line, maxField)
		}
		seen[d.Endpoint] = true
		out = append(out, d)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: it has no device", ErrList)
	}
	return out, nil
}
