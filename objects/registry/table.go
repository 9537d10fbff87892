package registry

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"steward/lwm2m"
)

//go:embed objects.tsv
var objectsText string

//go:embed resources.tsv
var resourcesText string

// ErrTable reports a row of a table that cannot be read.
var ErrTable = errors.New("malformed registry table")

// Columns of the two tables.
const (
	objectColumns   = 7  // id, version, enabler, name, urn, instances, mandatory
	resourceColumns = 10 // object, version, id, name, operations, instances, mandatory, type, range, units
)

var load = sync.OnceValue(func() *Registry {
	r, err := Parse(objectsText, resourcesText)
	if err != nil {
		panic(err) // the embedded tables are part of the program, and tested
	}
	return r
})

// Default returns the registry of the embedded tables.
func Default() *Registry { return load() }

// Parse reads the two tables: tab-separated rows below one line of headings,
// lines that begin with # ignored, both ordered by object and version. It
// returns ErrTable, with the row, if one is malformed or out of place.
func Parse(objects, resources string) (*Registry, error) {
	var r Registry
	err := rows(objects, objectColumns, func(cells []string) error {
		o, err := parseObject(cells)
		r.objects = append(r.objects, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !slices.IsSortedFunc(r.objects, compareObjects) {
		return nil, fmt.Errorf("%w: objects out of order", ErrTable)
	}
	all := make([]Resource, 0, strings.Count(resources, "\n"))
	at, begin := 0, 0 // the object whose resources are being read, and its first one
	err = rows(resources, resourceColumns, func(cells []string) error {
		id, err := parseID(cells[0])
		if err != nil {
			return err
		}
		for at < len(r.objects) && (r.objects[at].ID != id || r.objects[at].Version != cells[1]) {
			r.objects[at].Resources = all[begin:len(all):len(all)]
			at, begin = at+1, len(all)
		}
		resource, err := parseResource(cells)
		all = append(all, resource)
		return err
	})
	if err != nil {
		return nil, err
	}
	if at == len(r.objects) {
		return nil, fmt.Errorf("%w: resources of an object that is not listed", ErrTable)
	}
	r.objects[at].Resources = all[begin:]
	return &r, nil
}

// rows calls row with the cells of each line after the headings.
func rows(table string, columns int, row func(cells []string) error) error {
	headings := true
	number := 0
	for line := range strings.Lines(table) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if headings {
			headings = false
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != columns {
			return fmt.Errorf("%w: line %d has %d columns, not %d", ErrTable, number, len(cells), columns)
		}
		if err := row(cells); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

func parseID(text string) (uint16, error) {
	id, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%w: id %q", ErrTable, text)
	}
	return uint16(id), nil
}

func parseObject(cells []string) (Object, error) {
	id, err := parseID(cells[0])
	return Object{
		ID:        id,
		Version:   cells[1],
		LwM2M:     cells[2],
		Name:      cells[3],
		URN:       cells[4],
		Multiple:  cells[5] == "Multiple",
		Mandatory: cells[6] == "Mandatory",
	}, err
}

var kinds = map[string]lwm2m.Kind{
	"":                 lwm2m.KindNone,
	"String":           lwm2m.KindString,
	"Integer":          lwm2m.KindInteger,
	"Unsigned Integer": lwm2m.KindUnsigned,
	"Float":            lwm2m.KindFloat,
	"Boolean":          lwm2m.KindBoolean,
	"Opaque":           lwm2m.KindOpaque,
	"Time":             lwm2m.KindTime,
	"Objlnk":           lwm2m.KindObjlnk,
	"Corelnk":          lwm2m.KindCorelnk,
}

func parseResource(cells []string) (Resource, error) {
	id, err := parseID(cells[2])
	if err != nil {
		return Resource{}, err
	}
	kind, ok := kinds[cells[7]]
	if !ok {
		return Resource{}, fmt.Errorf("%w: type %q", ErrTable, cells[7])
	}
	var ops lwm2m.Operations
	for _, o := range operations {
		if strings.IndexByte(cells[4], o.letter) >= 0 {
			ops |= o.bit
		}
	}
	return Resource{ID: id, ResourceInfo: lwm2m.ResourceInfo{
		Name:       cells[3],
		Kind:       kind,
		Operations: ops,
		Multiple:   cells[5] == "Multiple",
		Mandatory:  cells[6] == "Mandatory",
		Range:      cells[8],
		Units:      cells[9],
	}}, nil
}
