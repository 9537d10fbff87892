package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
)

func newServe() *cobra.Command {
	o := config.Default()
	var file, level string
	var logJSON bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Run one provider", Args: noArgs,
		Long: `Runs one provider: LwM2M server, enrolment CA, dashboard, REST API and the API
for other providers. Without any setting it keeps its data in ./steward-data and
makes a CA, keys and certificates at the first start. It prints a one-time
sign-in link for the dashboard; a new one comes with each start.

Settings come from defaults, then the file (--config, TOML: keys are the flags'
names without dashes before them), then variables of the environment
(STEWARD_PUBLIC_COAPS for --public-coaps), then flags; "steward config show" tells
where each comes from. "off" turns a listener off. An
address without host (":5684") listens on --host if that is an IP address, else
on all.

Devices must know the ids of the three objects that carry the hand-over; outside
OMA's test range they are yours to choose (objects.truststore, .enrolment,
.transfer in the file). Without a choice the hand-over is off; --allow-test-range
turns it on with ids of the test range.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own := pflag.NewFlagSet("", pflag.ContinueOnError)
			for _, name := range []string{"config", "log-level", "log-json"} {
				own.AddFlag(cmd.Flags().Lookup(name))
			}
			if err := environment(own); err != nil {
				return err
			}
			l, err := layersOf(file, cmd.Flags())
			if err != nil {
				return err
			}
			return serve(cmd, l.flags, level, logJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "TOML `file` with settings")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&logJSON, "log-json", false, "log in JSON lines")
	serveFlags(f, &o)
	return cmd
}

// serveFlags binds the settings that flags can give.
func serveFlags(f *pflag.FlagSet, o *config.Options) {
	f.StringVar(&o.Data, "data", o.Data, "`directory` of everything that lasts")
	f.StringVar(&o.Revocations, "revocations", o.Revocations,
		"`file` of revocations that no backup replaces (default in --data)")
	f.StringVar(&o.Name, "name", o.Name, "the provider's name, in certificates and messages")
	f.StringVar(&o.Host, "host", o.Host, "name or address in every URI handed out")
	f.StringVar(&o.HTTP, "http", o.HTTP, "dashboard and REST API (TLS with an own certificate off loopback)")
	f.StringVar(&o.CoAP, "coap", o.CoAP, "LwM2M without security, such as :5683")
	f.StringVar(&o.CoAPS, "coaps", o.CoAPS, "LwM2M, enrolment and updates over DTLS")
	f.StringVar(&o.CoAPTCP, "coap-tcp", o.CoAPTCP, "LwM2M over TCP without security, such as :5683")
	f.StringVar(&o.CoAPSTCP, "coaps-tcp", o.CoAPSTCP, "LwM2M, enrolment and updates over TLS, such as :5684")
	f.StringArrayVar(&o.ServerCertificates, "server-certificate", o.ServerCertificates,
		"another certificate for devices that ask for a name: `name=chain.pem,key.pem`; repeatable")
	f.StringSliceVar(&o.Identity, "identity", o.Identity,
		"where certificates name their devices: cn, uri, dns, hardware; the first found counts (default cn)")
	f.StringVar(&o.IdentityTable, "identity-table", o.IdentityTable,
		"`file` with names in certificates and the endpoints that they stand for, a tab between them")
	f.StringVar(&o.PublicCoAPS, "public-coaps", o.PublicCoAPS,
		"`host:port` that devices are told, if a port forwarding makes it another than --host and --coaps")
	f.StringVar(&o.Peer, "peer", o.Peer, "API for other providers (mutual TLS)")
	f.StringVar(&o.ESTHTTPS, "est-https", o.ESTHTTPS,
		"enrolment by HTTPS (RFC 7030), for gateways and factories, such as :8085")
	f.StringVar(&o.EST.C509Formats, "c509-formats", o.EST.C509Formats,
		"`numbers` of the content formats of requests, certificates and chains in C509,\n"+
			"such as 65001,65002,65003 (default: EST speaks no C509)")
	f.StringVar(&o.Updates, "updates", o.Updates, "updates by HTTPS, for devices with certificates")
	f.Int64Var(&o.UpdateRate, "update-rate", o.UpdateRate,
		"bytes per second that all devices may fetch (default no bound)")
	f.IntVar(&o.RESTRate, "rest-rate", o.RESTRate,
		"requests a second of one caller of the REST API (default 200, -1: no limit)")
	f.StringSliceVar(&o.WebhookNets, "webhook-nets", o.WebhookNets,
		"`networks` that webhooks may reach though they are not public, such as 10.1.0.0/16")
	f.StringVar(&o.PKI, "pki", o.PKI, "CRL, OCSP and CA certificates (plain HTTP)")
	f.StringVar(&o.Publication.URL, "pki-url", o.Publication.URL,
		"`URL` of --pki for the world, which certificates of servers, peers and signers then name")
	f.StringArrayVar(&o.FactoryCRLs, "factory-crl", nil,
		"`file` with the CRL of a factory CA, read again when it changes; repeatable")
	f.StringVar(&o.Enrolment.Rekey, "rekey", o.Enrolment.Rekey, "which devices make a factory key of their own "+
		"without an order: arrived, those that come from another provider, or never (default arrived)")
	f.IntVar(&o.Enrolment.Rate, "renewal-rate", o.Enrolment.Rate, "devices asked to renew in a minute (default 600)")
	f.BoolVar(&o.InfoCOSE, "info-cose", o.InfoCOSE, "send partners the information on devices as COSE, not as JWS")
	f.BoolVar(&o.Tolerant, "tolerant", o.Tolerant, "accept b=UQ of devices of LwM2M 1.1 and later")
	f.BoolVar(&o.AllowNoSec, "allow-nosec", o.AllowNoSec, "let any device register on --coap and --coap-tcp; for tests")
	f.BoolVar(&o.AllowTestRange, "allow-test-range", o.AllowTestRange, "allow object ids of OMA's test range; for tests")
	retentionFlags(f, &o.Retention)
	timeFlags(f, o)
}

// timeFlags binds the times that flags can give.
func timeFlags(f *pflag.FlagSet, o *config.Options) {
	for _, d := range []struct {
		p          *config.Duration
		name, text string
	}{
		{&o.Timers.AckTimeout, "ack-timeout", "CoAP ACK_TIMEOUT"},
		{&o.Timers.Grace, "grace", "powered time that devices give a new provider before they fall back"},
		{&o.Timers.Retry, "retry", "first retry interval told to devices"},
		{&o.Timers.Poll, "poll", "interval at which open work is looked at"},
		{&o.Enrolment.Lifetime, "certificate-lifetime", "how long certificates of devices live (default a year)"},
		{
			&o.Enrolment.ExpiredGrace, "expired-grace", "for how long a device's certificate that ended may still ask for " +
				"its successor (default not at all: it comes back by its factory certificate)",
		},
		{&o.Timers.Awake, "awake", "how long devices in queue mode listen after a message, in whole seconds"},
	} {
		f.DurationVar((*time.Duration)(d.p), d.name, time.Duration(*d.p), d.text)
	}
}

// merge returns settings with those that flags gave on top.
func merge(f *pflag.FlagSet, file config.Options) config.Options {
	given := pflag.NewFlagSet("", pflag.ContinueOnError)
	serveFlags(given, &file)
	f.Visit(func(flag *pflag.Flag) {
		to := given.Lookup(flag.Name)
		if to == nil {
			return
		}
		list, isList := flag.Value.(pflag.SliceValue)
		if values, ok := to.Value.(pflag.SliceValue); ok && isList {
			_ = values.Replace(list.GetSlice()) // as below
			return
		}
		_ = to.Value.Set(flag.Value.String()) // it was accepted once already
	})
	return file
}

func serve(cmd *cobra.Command, o config.Options, level string, logJSON bool) error {
	log, levels, err := newLevelledLog(cmd.ErrOrStderr(), level, logJSON)
	if err != nil {
		return err
	}
	cfg, err := config.New(o)
	if err != nil {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	cfg.LogLevel = levels
	go toggleLog(cmd.Context(), log, levels)
	a, err := app.New(cmd.Context(), cfg, log)
	if err != nil {
		return err
	}
	if err := greet(cmd, a, cfg); err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(a.Run(cmd.Context()), a.Close())
}

// greet prints where everything is, on stdout: a program that started us reads it.
func greet(cmd *cobra.Command, a *app.App, cfg config.Config) error {
	link, err := a.SignInLink(cmd.Context())
	if err != nil {
		return err
	}
	enter := "Sign in once, within 10 minutes: " + link
	if link == "" {
		enter = "admin may not sign in; \"steward users\" makes a link for somebody else"
	}
	handOver := ""
	if !cfg.HandOver {
		handOver = "  hand-over  off, for no object ids were chosen (see \"steward serve --help\")\n"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(),
		"%s is ready.\n  dashboard  %s\n  devices    %s\n  data       %s\n%s%s\n",
		cfg.Name, a.DashboardURL(), a.CoAPSURI(), cfg.Data, handOver, enter)
	return err
}
