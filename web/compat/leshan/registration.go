// Package leshan writes what Steward knows in the JSON of the demo server of Eclipse
// Leshan 2, so that programs made for that go on. It is no standard: the shapes are
// those of leshan-demo-server/src/main/java/org/eclipse/leshan/demo/server, in its
// packages servlet.json and model. No I/O.
package leshan

import (
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// A Registration is a registered device, as JacksonRegistrationSerializer writes it.
// Members that Leshan leaves out where it has nothing (smsNumber) are left out.
type Registration struct {
	Endpoint   string              `json:"endpoint"`
	ID         string              `json:"registrationId"`
	Since      int64               `json:"registrationDate"` // milliseconds since 1970
	LastUpdate int64               `json:"lastUpdate"`       // milliseconds since 1970
	Address    string              `json:"address"`
	Version    string              `json:"lwM2mVersion"`
	Lifetime   int64               `json:"lifetime"` // seconds
	Binding    string              `json:"bindingMode"`
	Root       string              `json:"rootPath"`
	Links      []Link              `json:"objectLinks"`
	Secure     bool                `json:"secure"`
	Additional map[string]string   `json:"additionalRegistrationAttributes"`
	Queue      bool                `json:"queuemode"`
	Instances  map[string][]uint16 `json:"availableInstances"`
	Sleeping   *bool               `json:"sleeping,omitempty"` // of devices in queue mode only
}

// A Link is a link of a registration, as JacksonLinkSerializer writes it.
type Link struct {
	URL        string            `json:"url"`
	Attributes map[string]string `json:"attributes"`
}

// NewRegistration returns the registration of d. One that is not registered has what
// is known of it beside: the events that tell of its end need that.
func NewRegistration(d web.DeviceDetail) Registration {
	out := Registration{
		Endpoint: d.Endpoint, LastUpdate: milliseconds(d.LastSeen), Version: d.Version, Root: "/", Links: []Link{},
		Secure: d.Security != "" && d.Security != "nosec", Additional: map[string]string{},
		Instances: map[string][]uint16{},
	}
	for _, o := range d.Objects {
		at := "/" + strconv.Itoa(int(o.ID))
		if o.Version != "" || len(o.Instances) == 0 {
			link := Link{at, map[string]string{}}
			if o.Version != "" {
				link.Attributes["ver"] = o.Version
			}
			out.Links = append(out.Links, link)
		}
		for _, i := range o.Instances {
			out.Links = append(out.Links, Link{at + "/" + strconv.Itoa(int(i)), map[string]string{}})
		}
		if len(o.Instances) > 0 {
			out.Instances[strconv.Itoa(int(o.ID))] = o.Instances
		}
	}
	r := d.Registration
	if r == nil {
		return out
	}
	out.ID = r.Location[strings.LastIndex(r.Location, "/")+1:]
	out.Since, out.Address, out.Lifetime, out.Binding = milliseconds(r.Since), r.Address, r.Seconds, r.Binding
	if out.Queue = r.Queue; r.Queue {
		out.Sleeping = &r.Asleep
	}
	return out
}

// milliseconds is how Jackson writes a Date; 0 for none.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
