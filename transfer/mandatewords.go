package transfer

import (
	"fmt"
	"strings"
	"time"
)

// Words says what a mandate orders, in sentences for people: who may hand what over to
// whom, till when, and on what conditions. issuer is empty where nobody has signed yet.
func (m *Mandate) Words() []string {
	who := m.Issuer
	if who == "" {
		who = "The service user"
	}
	out := []string{
		fmt.Sprintf("%s lets %s hand over %s to %s.", who, m.From, m.Devices.words(m.From), m.To),
		fmt.Sprintf("They may be told to move from %s to %s UTC; nothing of it counts after %s UTC.",
			minute(m.Window.Earliest), minute(m.Window.Latest), minute(m.Expires)),
	}
	if m.NeedsAttestation() {
		out = append(out, "Each must prove what it runs before "+m.To+" enrols it.")
	} else {
		out = append(out, "No proof of what they run is demanded.")
	}
	if m.MayKeepApplication() {
		out = append(out, "The installed application and its configuration may stay on them.")
	} else {
		out = append(out, "What applications stored on them must be erased on the way.")
	}
	if m.MaxSequence != nil {
		out = append(out, fmt.Sprintf("None may have installed a manifest with a sequence number above %d.", *m.MaxSequence))
	}
	return out
}

func (d Devices) words(from string) string {
	switch prefix, begins := strings.CutSuffix(d.Group, anyRest); {
	case len(d.Factory) == 1:
		return "one device, named by its factory certificate,"
	case len(d.Factory) > 1:
		return fmt.Sprintf("%d devices, each named by its factory certificate,", len(d.Factory))
	case begins && prefix == "":
		return "every device"
	case begins:
		return fmt.Sprintf("every device whose certified name begins with %q", prefix)
	default:
		return fmt.Sprintf("the devices of %s's group %q (who is in it, %s alone says)", from, d.Group, from)
	}
}

func minute(s Seconds) string { return s.Time().Format(time.DateTime) }
