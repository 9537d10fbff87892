package fleet

import (
	"bufio"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"steward/lwm2m"
)

// A NameSource is where a certificate says who its device is.
type NameSource string

// The sources of names.
const (
	NameCommon   NameSource = "cn"       // commonName of the subject (Core 1.2.2 §5.2.9, the default)
	NameURI      NameSource = "uri"      // subjectAltName urn:dev:… or urn:imei:… or the like: a URN
	NameDNS      NameSource = "dns"      // subjectAltName dNSName
	NameHardware NameSource = "hardware" // subjectAltName otherName hardwareModuleName: hwSerialNum (RFC 4108 §5)
)

var (
	// ErrNaming reports a rule or a table of names that cannot be used.
	ErrNaming = errors.New("unusable rule for names of devices")
	// ErrNameless reports a certificate that does not say who its device is, or says
	// it in a way that another device could, too.
	ErrNameless = errors.New("certificate without a usable name of a device")
)

// maxNames bounds a table of names: beyond it, an inventory is the better place.
const maxNames = 1 << 20

// A Naming says which endpoint name a certificate stands for. The zero Naming takes
// the common name.
type Naming struct {
	sources []NameSource
	table   map[string]lwm2m.Endpoint
	taken   map[lwm2m.Endpoint]bool // names in table that are given to others
}

// NewNaming returns a Naming that takes the first of sources that a certificate has,
// NameCommon if there are none, and translates it by table, which may be nil. It
// returns ErrNaming.
func NewNaming(sources []NameSource, table map[string]lwm2m.Endpoint) (Naming, error) {
	n := Naming{sources: sources, table: table, taken: map[lwm2m.Endpoint]bool{}}
	for i, s := range sources {
		switch s {
		case NameCommon, NameURI, NameDNS, NameHardware:
		default:
			return n, fmt.Errorf("%w: %q; cn, uri, dns or hardware", ErrNaming, s)
		}
		if slices.Contains(sources[:i], s) {
			return n, fmt.Errorf("%w: %s twice", ErrNaming, s)
		}
	}
	for name, ep := range table {
		if _, twice := n.taken[ep]; twice {
			return n, fmt.Errorf("%w: two certificates' names for the endpoint %q", ErrNaming, ep)
		}
		n.taken[ep] = string(ep) != name
	}
	return n, nil
}

// ReadNames reads a table of names: on each line that of a certificate, a tab and the
// endpoint's; # begins a comment. It returns ErrNaming.
func ReadNames(r io.Reader) (map[string]lwm2m.Endpoint, error) {
	out := map[string]lwm2m.Endpoint{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		name, rest, ok := strings.Cut(text, "\t")
		ep, err := lwm2m.ParseEndpoint(strings.TrimSpace(rest))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, fmt.Errorf("%w: line %d: the name in the certificate, a tab, an endpoint", ErrNaming, n)
		}
		if _, twice := out[name]; twice || len(out) == maxNames {
			return nil, fmt.Errorf("%w: line %d: %q twice, or too many", ErrNaming, n, name)
		}
		out[name] = ep
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNaming, err)
	}
	return out, nil
}

// Plain reports whether the common name alone counts.
func (n Naming) Plain() bool {
	return n.table == nil && (len(n.sources) == 0 || len(n.sources) == 1 && n.sources[0] == NameCommon)
}

// Endpoint returns the name that c stands for. It returns ErrNameless.
func (n Naming) Endpoint(c *x509.Certificate) (lwm2m.Endpoint, error) {
	name, err := n.name(c)
	if err != nil {
		return "", err
	}
	if ep, ok := n.table[name]; ok {
		return ep, nil
	}
	ep, err := lwm2m.ParseEndpoint(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNameless, err)
	}
	if n.taken[ep] {
		return "", fmt.Errorf("%w: %q is given to another certificate", ErrNameless, ep)
	}
	return ep, nil
}

// name returns what the first source that c has says.
func (n Naming) name(c *x509.Certificate) (string, error) {
	sources := n.sources
	if len(sources) == 0 {
		sources = []NameSource{NameCommon}
	}
	for _, s := range sources {
		names, err := nameReaders[s](c)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrNameless, s, err)
		}
		switch len(names) {
		case 0:
		case 1:
			return names[0], nil
		default: // which of them counts, its owner could choose
			return "", fmt.Errorf("%w: %d names of the kind %s", ErrNameless, len(names), s)
		}
	}
	return "", fmt.Errorf("%w: none of the kinds %q", ErrNameless, sources)
}

// nameReaders are how the sources are read.
var nameReaders = map[NameSource]func(*x509.Certificate) ([]string, error){
	NameCommon:   commonNames,
	NameURI:      deviceURNs,
	NameDNS:      func(c *x509.Certificate) ([]string, error) { return c.DNSNames, nil },
	NameHardware: hardwareSerials,
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

func commonNames(c *x509.Certificate) (out []string, _ error) {
	for _, a := range c.Subject.Names {
		if text, ok := a.Value.(string); ok && a.Type.Equal(oidCommonName) && text != "" {
			out = append(out, text)
		}
	}
	return out, nil
}

// deviceURNs returns the URIs that name devices and not places.
func deviceURNs(c *x509.Certificate) (out []string, _ error) {
	for _, u := range c.URIs {
		if strings.EqualFold(u.Scheme, "urn") {
			out = append(out, u.String())
		}
	}
	return out, nil
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidHardwareName   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 4}
)

// otherName is the GeneralName of that kind (RFC 5280 §4.2.1.6).
type otherName struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"tag:0,explicit"`
}

// hardwareName is HardwareModuleName (RFC 4108 §5).
type hardwareName struct {
	Type   asn1.ObjectIdentifier
	Serial []byte
}

// hardwareSerials returns the serial numbers of hardware, as text if they are text,
// else in hexadecimal.
func hardwareSerials(c *x509.Certificate) (out []string, _ error) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			return nil, fmt.Errorf("subjectAltName: %w", errors.Join(err, errTrailing(rest)))
		}
		for _, raw := range names {
			serial, ok, err := hardwareSerial(raw)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, serial)
			}
		}
	}
	return out, nil
}

var errExtra = errors.New("bytes too many")

func errTrailing(rest []byte) error {
	if len(rest) > 0 {
		return errExtra
	}
	return nil
}

// hardwareSerial reads one GeneralName, and returns whether it is a name of hardware.
func hardwareSerial(raw asn1.RawValue) (serial string, ok bool, err error) {
	if raw.Class != asn1.ClassContextSpecific || raw.Tag != 0 {
		return "", false, nil
	}
	var other otherName
	if rest, err := asn1.UnmarshalWithParams(raw.FullBytes, &other, "tag:0"); err != nil || len(rest) > 0 {
		return "", false, fmt.Errorf("otherName: %w", errors.Join(err, errTrailing(rest)))
	}
	if !other.Type.Equal(oidHardwareName) {
		return "", false, nil
	}
	var name hardwareName
	if rest, err := asn1.Unmarshal(other.Value.Bytes, &name); err != nil || len(rest) > 0 || len(name.Serial) == 0 {
		return "", false, fmt.Errorf("hardwareModuleName: %w", errors.Join(err, errTrailing(rest)))
	}
	text := string(name.Serial)
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) }) {
		text = hex.EncodeToString(name.Serial)
	}
	return text, true, nil
}
