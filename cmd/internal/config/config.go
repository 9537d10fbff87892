// Package config turns what an operator wrote, in a file or as flags, into a
// Config that the program can rely on.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/BurntSushi/toml"

	"steward/est"
	"steward/est/enrol"
	"steward/est/estcoap"
	"steward/lwm2m/fleet"
	"steward/objects"
)

// ErrConfig reports a setting that cannot be used; the text names it.
var ErrConfig = errors.New("unusable setting")

// Options are the settings as written. Zero fields take the defaults that
// Default gives. The names in tags are those of the TOML file.
type Options struct {
	Data string `toml:"data"` // directory of everything that lasts
	// Revocations is the file of what a restored database must not forget: certificates
	// revoked and rights deleted since. Best on another disk than Data. "": in Data.
	Revocations string `toml:"revocations"`

	Name string `toml:"name"` // the provider's name, in certificates and messages
	Host string `toml:"host"` // name or address that stands in every URI handed out

	HTTP  string `toml:"http"`  // dashboard and REST API
	CoAP  string `toml:"coap"`  // LwM2M without security, "" or "off": none
	CoAPS string `toml:"coaps"` // LwM2M, EST and updates over DTLS

	// CoAPTCP and CoAPSTCP are the same over TCP and TLS (RFC 8323), "" or "off": none.
	CoAPTCP  string `toml:"coap-tcp"`
	CoAPSTCP string `toml:"coaps-tcp"`

	// FactoryCRLs are files of CRLs of factory CAs, PEM or DER, read again when they
	// change: what stands on them is no factory certificate here.
	FactoryCRLs []string `toml:"factory-crl"`
	// ServerCertificates are shown, over DTLS and TLS, to clients that ask for their
	// names (RFC 6066 §3); all others see the provider's own. Each is written
	// "name=chain.pem,key.pem".
	ServerCertificates []string `toml:"server-certificates"`

	// Identity says where certificates say who their devices are: cn, uri, dns,
	// hardware; the first that one has counts. Empty: cn.
	Identity []string `toml:"identity"`
	// IdentityTable is a file with a line for each certificate's name that is not the
	// endpoint's: the one, a tab, the other. "": none.
	IdentityTable string `toml:"identity-table"`

	// RawPublicKeys and OSCORE are not built: New says so where they are asked for.
	RawPublicKeys bool   `toml:"raw-public-keys"`
	OSCORE        bool   `toml:"oscore"`
	Peer          string `toml:"peer"` // provider-to-provider API, "off": none
	PKI           string `toml:"pki"`  // CRL and issuer certificates, "off": none

	// ESTHTTPS is where gateways and factories enrol by HTTPS (RFC 7030). "off": none.
	ESTHTTPS string `toml:"est-https"`

	// Updates is where devices fetch updates by HTTPS with their certificates; by
	// CoAP they fetch at CoAPS. "off": none.
	Updates string `toml:"updates"`
	// UpdateRate bounds what all devices fetch together, in bytes per second; 0: no
	// bound.
	UpdateRate int64 `toml:"update-rate"`

	// RESTRate is how often one caller may ask the REST API in a second; who is not
	// known, 10 times at most. 0: 200; below 0: no limit.
	RESTRate int `toml:"rest-rate"`

	// WebhookNets are networks that webhooks may reach though they are not public:
	// "10.1.0.0/16". Empty: none.
	WebhookNets []string `toml:"webhook-nets"`

	// PublicCoAPS is the host and port that devices are told for CoAPS, where it is
	// not that of Host and CoAPS: behind a port forwarding. "": the same.
	PublicCoAPS string `toml:"public-coaps"`

	AllowNoSec bool `toml:"allow-nosec"` // devices without security, for tests
	// InfoCOSE sends partners the information on devices as COSE_Sign1 instead of JWS.
	InfoCOSE       bool `toml:"info-cose"`
	Tolerant       bool `toml:"tolerant"`         // devices that say b=UQ though they are of LwM2M 1.1 or later
	AllowTestRange bool `toml:"allow-test-range"` // object ids of the OMA test range, for tests

	Limits    Limits    `toml:"limits"`
	Enrolment Enrolment `toml:"enrolment"`
	EST       EST       `toml:"est"`

	Upstream Upstream `toml:"upstream"`

	Retention   Retention   `toml:"retention"`
	Publication Publication `toml:"publication"`
	Objects     Objects     `toml:"objects"`
	Timers      Timers      `toml:"timers"`

	Keys   Keys   `toml:"keys"`
	CA     CA     `toml:"ca"`
	People People `toml:"people"`
}

// Objects are the ids of the three custom objects.
type Objects struct {
	Truststore uint16 `toml:"truststore"`
	Enrolment  uint16 `toml:"enrolment"`
	Transfer   uint16 `toml:"transfer"`
}

// Timers scale the protocols, for tests and for networks other than the usual.
type Timers struct {
	AckTimeout Duration `toml:"ack-timeout"` // CoAP ACK_TIMEOUT; 2 s
	Grace      Duration `toml:"grace"`       // powered time from commit to fallback; 24 h
	Retry      Duration `toml:"retry"`       // first retry interval; 30 s
	Poll       Duration `toml:"poll"`        // how often open transfers are looked at; 5 s
	Awake      Duration `toml:"awake"`       // how long devices in queue mode listen after a message; 93 s
}

// A Duration is written as in Go: "1.5s", "24h".
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Default returns what a provider has that configured nothing.
func Default() Options {
	return Options{
		Data: "steward-data", Name: "steward", Host: "127.0.0.1",
		HTTP: "127.0.0.1:8080", CoAP: "off", CoAPS: ":5684", CoAPTCP: "off", CoAPSTCP: "off",
		Peer: ":8443", PKI: ":8081", Updates: "off", ESTHTTPS: "off",
		Objects: Objects(objects.DefaultIDs),
		Timers: Timers{
			AckTimeout: Duration(2 * time.Second), Grace: Duration(24 * time.Hour),
			Retry: Duration(30 * time.Second), Poll: Duration(5 * time.Second),
			Awake: Duration(93 * time.Second), // MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2)
		},
	}
}

// Load reads a TOML file over o. A key that the program does not know is an
// error: a misspelt setting must not go unnoticed.
func (o *Options) Load(path string) error {
	meta, err := toml.DecodeFile(path, o)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("%w: %s: unknown key %q", ErrConfig, path, unknown[0].String())
	}
	return nil
}

// A Config is validated Options.
type Config struct {
	Data, Name, Host             string
	HTTP, CoAP, CoAPS, Peer, PKI string // listen addresses; "" for none
	CoAPTCP, CoAPSTCP            string // likewise
	ServerCertificates           []ServerCertificate
	Updates, ESTHTTPS            string // likewise
	Naming                       fleet.Naming
	RESTRate                     int
	WebhookNets                  []netip.Prefix // that webhooks may reach beside public addresses
	UpdateRate                   int64          // bytes per second; 0: no bound
	PublicCoAPS                  string         // "": Host and the port of CoAPS
	// HandOver is false if nobody chose ids for the three objects: the defaults
	// stand in OMA's test range, which must not ship. IDs are zero then.
	HandOver   bool
	AllowNoSec bool
	InfoCOSE   bool
	Tolerant   bool
	// Stamps has the kernel say when datagrams of the coaps endpoint came, for the
	// latency among its counters. Nobody sets it but measurements.
	Stamps             bool
	LogLevel           *slog.LevelVar // what is logged, to be changed while running; nil: it cannot be
	IDs                objects.IDs
	AckTimeout         time.Duration
	Grace, Retry, Poll time.Duration
	Awake              time.Duration
	Limits             est.Limits
	Upstream           Upstream
	Publication        Publication
	Kept               Kept
	Revocations        string // a file; "": in Data
	FactoryCRLs        []string
	Keys               Keys
	CA                 CA
	People             People

	ExpiredGrace time.Duration // zero: what ended is of no use any more
	RenewalRate  int           // devices in a minute; zero: the default
	Renewals     map[string]enrol.Policy
	RekeyArrived bool // have devices that come from another provider re-key

	// Operational is the profile of devices' certificates, and Labels are others by
	// their labels (RFC 9148 §4.1).
	Operational    *est.Profile
	Labels         map[string]*est.Profile
	ExpiredFactory bool
	KeepKeys       time.Duration // zero: est.DefaultKeepKeys
	C509           estcoap.C509Formats
}

var legalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$`)

// New validates o. It returns ErrConfig with what is wrong and what would be right.
func New(o Options) (Config, error) {
	c := Config{
		Data: o.Data, Name: o.Name, Host: o.Host, AllowNoSec: o.AllowNoSec, Tolerant: o.Tolerant, InfoCOSE: o.InfoCOSE,
		IDs:         objects.IDs(o.Objects),
		PublicCoAPS: o.PublicCoAPS, Revocations: o.Revocations, FactoryCRLs: o.FactoryCRLs,
		AckTimeout: time.Duration(o.Timers.AckTimeout), Grace: time.Duration(o.Timers.Grace),
		Retry: time.Duration(o.Timers.Retry), Poll: time.Duration(o.Timers.Poll),
		Awake: time.Duration(o.Timers.Awake), Keys: o.Keys, CA: o.CA,
	}
	if o.Data == "" {
		return c, fmt.Errorf("%w: data: a directory is needed", ErrConfig)
	}
	if info, err := os.Stat(o.Data); err == nil && !info.IsDir() {
		return c, fmt.Errorf("%w: data: %s is not a directory", ErrConfig, o.Data)
	}
	if !legalName.MatchString(o.Name) {
		return c, fmt.Errorf("%w: name: %q; letters, digits, spaces, . _ -", ErrConfig, o.Name)
	}
	if err := errors.Join(checkHost(o.Host), o.CA.check()); err != nil {
		return c, err
	}
	if err := c.addresses(o); err != nil {
		return c, err
	}
	if err := c.security(o); err != nil {
		return c, err
	}
	if err := c.naming(o); err != nil {
		return c, err
	}
	if err := c.checkTimers(); err != nil {
		return c, err
	}
	if err := o.checkUpstream(); err != nil {
		return c, err
	}
	c.Upstream = o.Upstream
	if err := errors.Join(c.people(o), c.webhooks(o), c.publication(o), c.retention(o)); err != nil {
		return c, err
	}
	if err := c.limits(o); err != nil {
		return c, err
	}
	if err := c.enrolment(o); err != nil {
		return c, err
	}
	if err := c.est(o); err != nil {
		return c, err
	}
	if err := c.handOver(o); err != nil {
		return c, err
	}
	return c, nil
}

// handOver takes over the ids of the three objects. Whoever did not choose any
// gets a provider without hand-over; a choice that is no good is an error.
func (c *Config) handOver(o Options) error {
	err := c.IDs.Validate(o.AllowTestRange)
	switch {
	case err == nil:
		c.HandOver = true
	case o.Objects == Default().Objects:
		c.IDs = objects.IDs{}
	default:
		return fmt.Errorf("%w: objects: %w (or allow them: --allow-test-range)", ErrConfig, err)
	}
	return nil
}

// addresses takes over what is listened on and told to devices.
func (c *Config) addresses(o Options) error {
	for _, l := range []struct {
		name, in string
		out      *string
	}{
		{"http", o.HTTP, &c.HTTP},
		{"coap", o.CoAP, &c.CoAP},
		{"coaps", o.CoAPS, &c.CoAPS},
		{"coap-tcp", o.CoAPTCP, &c.CoAPTCP},
		{"coaps-tcp", o.CoAPSTCP, &c.CoAPSTCP},
		{"peer", o.Peer, &c.Peer},
		{"pki", o.PKI, &c.PKI},
		{"updates", o.Updates, &c.Updates},
		{"est-https", o.ESTHTTPS, &c.ESTHTTPS},
	} {
		addr, err := listen(l.in, o.Host)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrConfig, l.name, err)
		}
		*l.out = addr
	}
	if c.HTTP == "" || c.CoAPS == "" {
		return fmt.Errorf("%w: http and coaps cannot be off", ErrConfig)
	}
	if c.UpdateRate = o.UpdateRate; c.UpdateRate < 0 {
		return fmt.Errorf("%w: update-rate: %d is negative", ErrConfig, o.UpdateRate)
	}
	if o.PublicCoAPS != "" {
		if host, _, err := net.SplitHostPort(o.PublicCoAPS); err != nil || checkHost(host) != nil {
			return fmt.Errorf("%w: public-coaps: %.80q; host:port", ErrConfig, o.PublicCoAPS)
		}
	}
	return nil
}

func (c *Config) checkTimers() error {
	for name, d := range map[string]time.Duration{
		"ack-timeout": c.AckTimeout, "grace": c.Grace, "retry": c.Retry, "poll": c.Poll,
		"awake": c.Awake,
	} {
		if d <= 0 {
			return fmt.Errorf("%w: timers.%s: %v is not positive", ErrConfig, name, d)
		}
	}
	return nil
}

// checkHost accepts an IP address or a DNS name.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if len(host) > 253 || !regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]*$`).
		MatchString(host) {
		return fmt.Errorf("%w: host: %.80q is neither an IP address nor a DNS name", ErrConfig, host)
	}
	return nil
}

// listen makes an address of what was written. ":5684" listens on the host if
// that is an address, else everywhere; "" and "off" are none.
func listen(addr, host string) (string, error) {
	if addr == "" || addr == "off" {
		return "", nil
	}
	h, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("port %q is not a number up to 65535", port)
	} else if h == "" {
		if _, err := netip.ParseAddr(host); err == nil {
			h = host
		}
		return net.JoinHostPort(h, strconv.FormatUint(n, 10)), nil
	}
	return addr, nil
}
