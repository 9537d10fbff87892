package app

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/web"
	"steward/web/account"
	"steward/web/api"
	"steward/web/once"
	"steward/web/peer"
	"steward/web/scope"
	"steward/web/ui"
)

// Limits of the HTTP listeners. There is none for a whole answer: events are
// streamed for as long as somebody watches.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 3 * time.Second // what a stopping server gives to answers under way
	maxHeader     = 32 << 10        // of a request, in bytes; browsers send less than 2 KiB
)

// A webServer is one HTTP listener with its handler.
type webServer struct {
	name     string
	listener net.Listener
	server   *http.Server
}

// webListeners are all HTTP listeners of the provider.
type webListeners struct {
	bound    map[string]net.Listener // by name, before there is a handler
	servers  []*webServer
	stream   *web.Stream
	accounts *account.Accounts
	clients  clientConns // with certificates
	token    string      // of the command line, in DATA/admin.token
}

// bind binds an address for add, because somebody must know its port before.
func (w *webListeners) bind(ctx context.Context, name, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if w.bound == nil {
		w.bound = map[string]net.Listener{}
	}
	w.bound[name] = l
	return nil
}

// add binds an address, unless bind did. tlsConfig nil is plain HTTP.
func (w *webListeners) add(ctx context.Context, name, addr string, tlsConfig *tls.Config, h http.Handler,
	log *slog.Logger,
) error {
	if w.bound[name] == nil {
		if err := w.bind(ctx, name, addr); err != nil {
			return err
		}
	}
	var l net.Listener = &boundedListener{Listener: w.bound[name]}
	if tlsConfig != nil {
		l = tls.NewListener(l, tlsConfig)
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(log.With(slog.String("listener", name)).Handler(), slog.LevelDebug),
	}
	if tlsConfig != nil && tlsConfig.ClientAuth != tls.NoClientCert {
		server.ConnState = w.clients.changed
	}
	w.servers = append(w.servers, &webServer{name, l, server})
	return nil
}

// run serves all listeners in the group until ctx ends.
func (w *webListeners) run(ctx context.Context, group *errgroup.Group) {
	for _, s := range w.servers {
		group.Go(func() error {
			if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			w.stream.Close() // or those who watch would keep the server
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			if err := s.server.Shutdown(stop); err != nil {
				return s.server.Close()
			}
			return nil
		})
	}
}

// Close closes the sockets of listeners that never ran.
func (w *webListeners) Close() error {
	for _, l := range w.bound {
		_ = l.Close() // a listener that ran is closed already
	}
	return nil
}

// buildWebSide makes the dashboard with the REST API, and what other providers
// and relying parties use.
func (a *App) buildWebSide(ctx context.Context) error {
	a.web.accounts = a.newAccounts()
	var err error
	if a.web.token, err = account.TokenFile(a.dir.file(fileToken)); err != nil {
		return err
	}
	if err := a.web.accounts.SetToken(ctx, "admin.token", web.RoleAdmin, a.web.token, a.now()); err != nil {
		return err
	}
	if err := a.buildDashboard(ctx); err != nil {
		return err
	}
	if a.servesPeers() {
		if err := a.buildPeer(ctx); err != nil {
			return err
		}
	}
	if a.cfg.ESTHTTPS != "" {
		if err := a.buildESTHTTPS(ctx); err != nil {
			return err
		}
	}
	if a.cfg.PKI != "" {
		return a.web.add(ctx, "pki", a.cfg.PKI, nil, a.publication.handler(), a.log)
	}
	return nil
}

// buildDashboard binds the operators' listener: plain on loopback, TLS elsewhere.
func (a *App) buildDashboard(ctx context.Context) error {
	secure := !loopback(a.cfg.HTTP)
	door := account.Door{
		Accounts: a.web.accounts, Instance: a.instance(), TLS: strings.HasPrefix(a.DashboardURL(), "https:"), Now: a.now,
	}
	services, err := a.services(ctx)
	if err != nil {
		return err
	}
	bounded := scope.Services(services)
	a.web.stream.Sees = scope.Sees(services)
	passkeys, err := a.passkeys(ctx)
	if err != nil {
		return err
	}
	identities, err := a.identities()
	if err != nil {
		return err
	}
	doc, err := api.Contract()
	if err != nil {
		return err
	}
	pages, err := ui.New(ui.Options{
		Passkeys: passkeys, OIDC: identities, OIDCName: a.cfg.People.OIDC.Name,
		Contract: doc,
		Services: bounded, Door: door, Stream: a.web.stream, Registry: a.registry, Provider: a.cfg.Name,
		Version: Version, BaseURL: a.DashboardURL(), Now: a.now, Log: a.log,
	})
	if err != nil {
		return err
	}
	keeper, err := once.New(once.Options{Store: a.replies, Run: newULID(), Now: a.now, Log: a.log})
	if err != nil {
		return err
	}
	rest, err := api.New(api.Options{
		Once: keeper, Rate: a.cfg.RESTRate, Services: bounded, Door: door, Stream: a.web.stream,
		Schema: a.registry, Registry: a.registry, BaseURL: a.DashboardURL(),
		Metrics: a.metrics(services), Ready: a.ready, Now: a.now, Log: a.log,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages.Routes())
	restRoutes := rest.Routes()
	for _, pattern := range []string{api.Prefix + "/", api.LeshanPrefix + "/", "/livez", "/readyz", "/metrics"} {
		mux.Handle(pattern, restRoutes)
	}
	handler := web.Stack(web.StackOptions{Log: a.log, Now: a.now, TLS: secure, Deny: deny(pages)}, mux)
	var config *tls.Config
	if secure {
		if config, err = a.webTLS(ctx); err != nil {
			return err
		}
	}
	return a.web.add(ctx, "http", a.cfg.HTTP, config, handler, a.log)
}

// webTLS makes the dashboard's certificate, from our own CA.
func (a *App) webTLS(ctx context.Context) (*tls.Config, error) {
	id, err := a.pki.leaf(ctx, keys.Web, a.pki.goodServer)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{{
			Certificate: a.pki.chain(id.cert), PrivateKey: id.key, Leaf: id.cert,
		}},
	}, nil
}

// instance names this provider among those on one host, in cookie names.
func (a *App) instance() string {
	h := sum(a.pki.ca.Root().Raw)
	return hex.EncodeToString(h[:4])
}

// loopback reports whether an address to listen on can only be reached from
// this machine.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// DashboardURL is where operators go.
func (a *App) DashboardURL() string { return dashboardURL(a.cfg) }

func dashboardURL(cfg config.Config) string {
	if cfg.People.PublicURL != "" {
		return cfg.People.PublicURL
	}
	if loopback(cfg.HTTP) {
		return "http://" + cfg.HTTP
	}
	_, port, _ := net.SplitHostPort(cfg.HTTP) // validated by config
	return "https://" + net.JoinHostPort(cfg.Host, port)
}

// SignInLink makes a one-time link for the first operator; "" if admin was disabled
// or has other rights by now.
func (a *App) SignInLink(ctx context.Context) (string, error) {
	secret, err := a.web.accounts.Invite(ctx, web.System(), "admin", web.RoleAdmin, a.now())
	if errors.Is(err, account.ErrConflict) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return a.DashboardURL() + "/sign-in?link=" + secret, nil
}

// deny answers what never reaches a handler: as a page where people are.
func deny(pages *ui.UI) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if strings.HasPrefix(r.URL.Path, api.Prefix) || strings.HasPrefix(r.URL.Path, api.LeshanPrefix) {
			web.WriteProblem(w, web.ProblemOf(r, err))
			return
		}
		pages.Fail(w, r, err)
	}
}

// buildPeer binds the listener of other providers.
func (a *App) buildPeer(ctx context.Context) error {
	partners, err := peer.New(peer.Options{Coordinator: a.transfers, Dir: a.dir.path, Log: a.log})
	if err != nil {
		return err
	}
	handler := web.Stack(web.StackOptions{Log: a.log, Now: a.now, TLS: true}, partners.Routes())
	return a.web.add(ctx, peerListener, a.cfg.Peer, peer.TLS(a.peerCertificate()), handler, a.log)
}
