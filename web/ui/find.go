package ui

import (
	"net/http"
	"strings"

	"steward/web"
)

// A goal is a page that one can go to.
type goal struct {
	Text, Href string
}

// goals are the pages that have no id in their address.
var goals = []goal{ //nolint:gochecknoglobals // a constant
	{"Overview", "/"},
	{"Devices", "/devices"},
	{"Devices online", "/devices?state=online"},
	{"Devices offline", "/devices?state=offline"},
	{"Devices expected", "/devices?state=expected"},
	{"Devices without security", "/devices?insecure=true"},
	{"Bulk actions", "/bulk"},
	{"Groups & templates", "/groups"},
	{"Templates of observations", "/observations"},
	{"Bootstrap profiles", "/bootstrap"},
	{"Object definitions", "/objects"},
	{"Certificates", "/certificates"},
	{"Certificates that end within 30 days", "/certificates?within=30"},
	{"Certificates revoked", "/certificates?state=revoked"},
	{"Renewals", "/renewals"},
	{"Attestation", "/attestation"},
	{"Requests for certificates", "/requests"},
	{"Updates", "/updates"},
	{"New update", "/updates/new"},
	{"Vulnerabilities", "/updates/vulnerabilities"},
	{"Transfers", "/transfers"},
	{"New transfer", "/transfers/new"},
	{"Partners", "/partners"},
	{"Onboard a device", "/onboard"},
	{"Onboard a list", "/onboard/list"},
	{"Scan a label", "/onboard/scan"},
	{"Activity", "/activity"},
	{"Account", "/account"},
	{"Settings", "/settings"},
	{"About and licences", "/settings#about"},
}

// A findPage lists what has the words in its name.
type findPage struct {
	Query string
	Found []goal
}

// foundDevices is how many devices are found at once: who wants more filters the list.
const foundDevices = 10

// find looks for pages, devices and groups; the palette shows what it finds.
func (u *UI) find(w http.ResponseWriter, r *http.Request) error {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	page := findPage{Query: q}
	may := web.ActorFrom(r.Context()).Role.Includes(web.RoleOperator)
	matches := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(q)) }
	for _, p := range goals {
		if matches(p.Text) && (may || !strings.HasSuffix(p.Href, "/new")) {
			page.Found = append(page.Found, p)
		}
	}
	if q != "" {
		named, err := u.named(r, q, matches)
		if err != nil {
			return err
		}
		page.Found = append(page.Found, named...)
	}
	return u.show(w, r, http.StatusOK, "find", "", "Find", page)
}

// named returns devices and groups that have q in their names.
func (u *UI) named(r *http.Request, q string, matches func(string) bool) (out []goal, err error) {
	list, err := u.s.Devices.ListDevices(r.Context(), web.DeviceFilter{Text: q}, web.Page{Size: foundDevices})
	if err != nil {
		return nil, err
	}
	for _, d := range list.Items {
		out = append(out, goal{"Device " + d.Endpoint, "/devices/" + d.ID})
	}
	groups, err := optional(u.s.Groups.Groups(r.Context()))
	for _, g := range groups {
		if matches(g.Name) {
			out = append(out, goal{"Group " + g.Name, groupPath(g.Name)})
		}
	}
	return out, err
}
