package pagebench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"steward/lwm2m/fleet"
	"steward/web"
	"steward/web/api"
)

// ids chooses what addresses name.
type ids struct{ *run }

// known is what is only known from the server.
type known struct {
	certificates []string
	releases     []string
}

// ids reads what the server knows and the filler does not.
func (r *run) ids(ctx context.Context) (ids, error) {
	const pages = 5
	token := ""
	for range pages {
		var list web.List[web.Certificate]
		if err := r.web.rest.Get(ctx, "/ca/certificates?page_size=200&page_token="+token, &list); err != nil {
			return ids{}, err
		}
		for _, c := range list.Items {
			r.known.certificates = append(r.known.certificates, c.ID)
		}
		if token = list.Next; token == "" {
			break
		}
	}
	var list web.List[web.Release]
	err := r.web.rest.Get(ctx, "/releases", &list)
	for _, l := range list.Items {
		r.known.releases = append(r.known.releases, l.ID)
		var detail web.ReleaseDetail
		err = errors.Join(err, r.web.rest.Get(ctx, "/releases/"+l.ID, &detail))
		r.result.Running += detail.Running
	}
	return ids{r}, err
}

// device is one that has values, whose number is a multiple of every.
func (i ids) device(random *rand.Rand, every int) int {
	for {
		n := random.IntN(i.o.Devices/every) * every
		if ownershipOf(n) == fleet.Owned {
			return n
		}
	}
}

func pick(random *rand.Rand, all []string) string { return all[random.IntN(len(all))] }

// fill returns what makes addresses of a pattern, and whether there is one.
func (i ids) fill(pattern string) (func(*rand.Rand) string, bool) {
	put := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(pattern) }
	switch path := strings.TrimPrefix(pattern, api.Prefix); {
	case !strings.ContainsAny(path, "{*"):
		return func(*rand.Rand) string { return pattern }, true
	case strings.HasPrefix(path, "/devices/{id}"):
		return func(random *rand.Rand) string {
			const every = 5 // has operations
			n := i.device(random, every)
			return put("{id}", string(deviceID(n)), "{operation}", id('P', n*2), "*", "3303/0/5700") //nolint:mnd // ten each
		}, true
	case strings.HasPrefix(strings.TrimPrefix(path, "/ca"), "/certificates/{id}"):
		return func(random *rand.Rand) string { return put("{id}", pick(random, i.known.certificates)) }, true
	case strings.HasPrefix(path, "/updates/releases/{id}"), strings.HasPrefix(path, "/releases/{id}"):
		return func(random *rand.Rand) string { return put("{id}", pick(random, i.known.releases)) }, true
	case strings.HasPrefix(path, "/updates/{id}"), strings.HasPrefix(path, "/campaigns/{id}"):
		return func(random *rand.Rand) string { return put("{id}", id('C', random.IntN(campaigns))) }, true
	case strings.HasPrefix(path, "/transfers/{id}"):
		return func(random *rand.Rand) string {
			size := min(perTransfer, i.o.Devices)
			n := random.IntN(transfers)
			device := factoryOf((n*size + random.IntN(size)) % i.o.Devices)
			return put("{id}", transferID(n), "{device}", device.Short())
		}, true
	case strings.HasPrefix(path, "/groups/{name}"):
		return func(random *rand.Rand) string { return put("{name}", pick(random, groups())) }, true
	case strings.HasPrefix(path, "/people/{name}"):
		return func(*rand.Rand) string { return put("{name}", "admin") }, true
	case strings.HasPrefix(path, "/problems/"):
		return func(*rand.Rand) string { return put("{code}", "not_found") }, true
	case strings.HasPrefix(path, "/partners/{id}"):
		return func(*rand.Rand) string { return put("{id}", id('Q', 0)) }, true
	default:
		return nil, false
	}
}

// A kind is a way to ask for a page: a filter, a place in its list.
type kind struct {
	name  string
	query func(ids, *rand.Rand) string
}

// fixed are kinds whose query is always the same.
func fixed(names ...string) (out []kind) {
	for _, name := range names {
		out = append(out, kind{name, func(ids, *rand.Rand) string { return strings.ReplaceAll(name, " ", "&") }})
	}
	return out
}

// reports end the patterns of files with a line for each device.
const reports = "/report"

// reportPage is a page, of a part of the rows.
const reportPage = "/transfers/{id}" + reports

// file tells whether a pattern answers with a file of all rows, to be saved, however
// many there are.
func file(pattern string) bool {
	return pattern != reportPage && strings.Contains(pattern, reports) || strings.HasSuffix(pattern, "/export")
}

// kindsOf returns the plain kind of a pattern and all others.
func kindsOf(pattern string) []kind {
	if pattern != reportPage && strings.HasSuffix(pattern, reports) {
		return fixed("format=csv")
	}
	plain := kind{"", func(ids, *rand.Rand) string { return "" }}
	return append([]kind{plain}, kinds()[strings.TrimPrefix(pattern, api.Prefix)]...)
}

func kinds() map[string][]kind {
	devices := append(fixed("q=nowhere", "q=meter", "tag=site-07", "tag=nowhere", "state=online", "state=offline",
		"state=expected", "state=left", "insecure=true", "exposed=*", "exposed=CVE-2026-0001",
		"q=99 state=offline tag=site-07", "page_size=200", "model=M-1", "model=nowhere", "firmware=2.4.1 state=offline",
		"sort=newest", "sort=newest tag=site-07", "group=listed", "group=filtered"),
		kind{"q=ENDPOINT", func(i ids, r *rand.Rand) string { return fmt.Sprintf("q=%07d", r.IntN(i.o.Devices)) }},
		kind{"from anywhere", func(i ids, r *rand.Rand) string {
			return "page_token=" + string(deviceID(r.IntN(i.o.Devices)))
		}},
		kind{"campaign=ID", func(_ ids, r *rand.Rand) string { return "campaign=" + id('C', r.IntN(campaigns)) }},
		kind{"release=ID", func(i ids, r *rand.Rand) string { return "release=" + pick(r, i.known.releases) }},
	)
	events := append(fixed("actor=operator:bench", "actor=operator:rare", "actor=nobody", "action=registration.",
		"action=partner.", "action=nothing.", "actor=operator:bench action=partner.", "subject="+string(deviceID(0)),
		"subject="+string(deviceID(0))+" action=handshake."),
		kind{"subject=ID", func(i ids, r *rand.Rand) string { return "subject=" + string(deviceID(r.IntN(i.o.Devices))) }},
		kind{"from anywhere", func(i ids, r *rand.Rand) string {
			return fmt.Sprint("page_token=", 1+r.IntN(i.o.Events))
		}},
	)
	certificates := append(fixed("q=nowhere", "state=live", "state=expired", "state=revoked", "kind=issuing",
		"kind=operational state=revoked", "profile=operational", "within=30", "within=3650", "q=99 within=300"),
		kind{"q=ENDPOINT", func(i ids, r *rand.Rand) string { return fmt.Sprintf("q=%07d", r.IntN(i.o.Devices)) }},
		kind{"from anywhere", func(i ids, r *rand.Rand) string { return "page_token=" + pick(r, i.known.certificates) }},
		kind{"device=ID", func(i ids, r *rand.Rand) string { return "device=" + string(deviceID(i.device(r, 1))) }},
	)
	jobs := append(fixed("state=failed", "state=aborted"), kind{"from anywhere", func(i ids, r *rand.Rand) string {
		return "page_token=" + string(deviceID(r.IntN(i.o.Devices)))
	}})
	rows := []kind{{"from anywhere", func(_ ids, r *rand.Rand) string {
		return fmt.Sprintf("page_token=%02x", r.IntN(250)) //nolint:mnd // a short name begins so
	}}}
	transfers := fixed("direction=incoming", "direction=outgoing", "open=true", "partner="+id('Q', 0))
	charts := fixed("path=/3303/0/5700 range=month", "path=/3303/0/5700 range=year")
	enrolments := fixed("state=due", "state=failed", "state=renewed")
	return map[string][]kind{
		"/devices": devices, "/activity": events, "/audit": events,
		"/certificates": certificates, "/ca/certificates": certificates,
		"/updates/{id}": jobs, "/campaigns/{id}/jobs": jobs, "/transfers": transfers,
		"/transfers/{id}": rows, "/transfers/{id}/rows": rows, "/devices/{id}/charts": charts,
		"/renewals": enrolments, "/enrolments": enrolments,
	}
}
