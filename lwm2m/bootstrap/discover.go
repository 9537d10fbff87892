package bootstrap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/linkformat"
)

// maxHeld bounds the object instances that we take note of in one device.
const maxHeld = 1024

// instanceDepth is the length of the path of an object instance.
const instanceDepth = 2

// held is what a device holds, as Bootstrap-Discover (§6.1.7.4) tells it.
type held struct {
	version   lwm2m.Version // 1.0 if it does not say
	unknown   bool          // the device does not tell what it holds
	instances []lwm2m.Path  // of all objects, in order
	// bootstraps are the instances of object 0 that are accounts of
	// Bootstrap-Servers: those without a Short Server ID.
	bootstraps []uint16
	security   map[uint16]uint16 // Short Server ID → instance of object 0
	servers    map[uint16]uint16 // Short Server ID → instance of object 1
}

// assumed is what a device that cannot be asked is taken to hold: its
// bootstrap account in instance 0, where clients of 1.0 keep it.
func assumed() held {
	return held{version: lwm2m.Version10, unknown: true, bootstraps: []uint16{0}}
}

// parseHeld reads the answer to Bootstrap-Discover of "/". It is lenient about
// what does not matter here: attributes that it does not know, and links below
// instances. It returns linkformat's errors or lwm2m.ErrPath.
func parseHeld(body string) (held, error) {
	h := held{version: lwm2m.Version10, security: map[uint16]uint16{}, servers: map[uint16]uint16{}}
	links, err := linkformat.Parse(legacy(body))
	if err != nil {
		return held{}, err
	}
	for _, l := range links {
		if err := h.note(l); err != nil {
			return held{}, err
		}
	}
	slices.SortFunc(h.instances, lwm2m.Path.Compare)
	if len(slices.Compact(slices.Clone(h.instances))) != len(h.instances) {
		return held{}, fmt.Errorf("%w: an instance listed twice", linkformat.ErrDuplicate)
	}
	return h, nil
}

// note takes note of one link.
func (h *held) note(l linkformat.Link) error {
	if v, ok := l.Attribute("lwm2m"); ok {
		var err error
		if h.version, err = lwm2m.ParseVersion(strings.Trim(v, `"`)); err != nil {
			h.version = lwm2m.Version12 // newer than what we know
		}
	}
	if l.Target == "/" || l.Target == "" {
		return nil
	}
	p, err := l.Path("")
	if err != nil || p.Len() != instanceDepth {
		return err
	}
	if len(h.instances) == maxHeld {
		return fmt.Errorf("%w: more than %d object instances", linkformat.ErrLimit, maxHeld)
	}
	h.instances = append(h.instances, p)
	h.account(p, l)
	return nil
}

// account takes note of an instance of object 0 or 1.
func (h *held) account(p lwm2m.Path, l linkformat.Link) {
	if p.Object() != securityObject && p.Object() != serverObject {
		return
	}
	text, has := l.Attribute("ssid")
	short, err := strconv.ParseUint(text, 10, 16)
	switch {
	case p.Object() == securityObject && (!has || err != nil || short == 0 || short == lwm2m.NoID):
		h.bootstraps = append(h.bootstraps, p.ID(1))
	case has && err == nil && p.Object() == securityObject:
		h.security[uint16(short)] = p.ID(1)
	case has && err == nil:
		h.servers[uint16(short)] = p.ID(1)
	}
}

// legacy makes a link list of the form that clients of 1.0 send, which begins
// with a bare attribute, such as lwm2m="1.0".
func legacy(body string) string {
	if strings.HasPrefix(body, "lwm2m=") {
		return "</>;" + body
	}
	return body
}
