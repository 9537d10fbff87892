package bootstrap

import (
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// A command is one Bootstrap-Delete or Bootstrap-Write.
type command struct {
	method  coap.Code // DELETE or PUT
	path    lwm2m.Path
	entries []lwm2m.Entry // of a PUT
}

// plan says what brings a device from what it holds to what it is to hold:
// deletions first, then objects 0, 1 and the others. known are the values that
// the device let us read; an instance that already is as wanted is not written
// again. Instances of object 0 always are, for nobody can read their keys.
func (c Configuration) plan(h held, known []lwm2m.Entry) []command {
	securities, servers := c.place(h)
	var wanted []command
	for i, a := range c.Accounts {
		wanted = append(wanted, write(lwm2m.NewPath(securityObject, securities[i]), a.Security))
	}
	for i, a := range c.Accounts {
		wanted = append(wanted, write(lwm2m.NewPath(serverObject, servers[i]), a.Server))
	}
	for _, o := range c.Objects {
		wanted = append(wanted, write(o.Path, o.Entries))
	}
	out := c.deletions(h, wanted)
	for _, w := range wanted {
		if w.path.Object() == securityObject || !asWanted(w, known) || deleted(out, w.path) {
			out = append(out, w)
		}
	}
	return out
}

// repair is a plan for a device that found its configuration inconsistent
// (§6.1.7.6): nothing of what it holds is relied upon.
func (c Configuration) repair(h held) []command {
	clean := held{version: h.version, bootstraps: h.bootstraps, unknown: h.unknown}
	out := []command{}
	for _, p := range h.instances {
		if c.purges(p.Object()) && !h.own(p) {
			out = append(out, command{method: coap.DELETE, path: p})
		}
	}
	return append(out, c.plan(clean, nil)...)
}

func write(p lwm2m.Path, entries []lwm2m.Entry) command {
	return command{method: coap.PUT, path: p, entries: under(p, entries)}
}

// place chooses the instances of the accounts: those that have the Short Server
// ID already, or the lowest free ones, never that of a bootstrap account.
func (c Configuration) place(h held) (securities, servers []uint16) {
	var taken, takenServers []uint16
	taken = append(taken, h.bootstraps...)
	for _, a := range c.Accounts {
		if id, ok := h.security[a.Short]; ok {
			taken = append(taken, id)
		}
		if id, ok := h.servers[a.Short]; ok {
			takenServers = append(takenServers, id)
		}
	}
	for _, a := range c.Accounts {
		id, ok := h.security[a.Short]
		if !ok {
			id = free(&taken)
		}
		securities = append(securities, id)
		if id, ok = h.servers[a.Short]; !ok {
			id = free(&takenServers)
		}
		servers = append(servers, id)
	}
	return securities, servers
}

// free takes the lowest identifier that is not taken.
func free(taken *[]uint16) uint16 {
	var id uint16
	for slices.Contains(*taken, id) {
		id++
	}
	*taken = append(*taken, id)
	return id
}

// deletions are the instances that must go: of objects that are purged, all that
// are not wanted, and those that another server's account is to replace.
func (c Configuration) deletions(h held, wanted []command) (out []command) {
	for _, p := range h.instances {
		if !c.purges(p.Object()) || h.own(p) {
			continue
		}
		stays := slices.ContainsFunc(wanted, func(w command) bool { return w.path == p })
		if stays && (p.Object() > serverObject || c.keeps(h, p)) {
			continue
		}
		out = append(out, command{method: coap.DELETE, path: p})
	}
	if h.unknown { // object 1 holds no bootstrap account
		out = append(out, command{method: coap.DELETE, path: lwm2m.NewPath(serverObject)})
	}
	return out
}

// purges reports whether unwanted instances of an object are deleted.
func (c Configuration) purges(object uint16) bool {
	return object == securityObject || object == serverObject || slices.Contains(c.Purge, object)
}

// own reports whether p is an account of a Bootstrap-Server.
func (h held) own(p lwm2m.Path) bool {
	return p.Object() == securityObject && slices.Contains(h.bootstraps, p.ID(1))
}

// keeps reports whether p is an account of a server that stays.
func (c Configuration) keeps(h held, p lwm2m.Path) bool {
	by := h.security
	if p.Object() == serverObject {
		by = h.servers
	}
	return slices.ContainsFunc(c.Accounts, func(a Account) bool {
		id, ok := by[a.Short]
		return ok && id == p.ID(1)
	})
}

func deleted(commands []command, p lwm2m.Path) bool {
	return slices.ContainsFunc(commands, func(c command) bool { return c.method == coap.DELETE && c.path.Contains(p) })
}

// asWanted reports whether the device said it has every value of w.
func asWanted(w command, known []lwm2m.Entry) bool {
	for _, e := range w.entries {
		if !slices.ContainsFunc(known, func(k lwm2m.Entry) bool { return k.Path == e.Path && same(k.Value, e.Value) }) {
			return false
		}
	}
	return len(w.entries) > 0
}

// same compares values whose integer kinds may differ.
func same(a, b lwm2m.Value) bool {
	if a == b {
		return true
	}
	c, err := a.Convert(b.Kind())
	return err == nil && c == b
}
