package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steward/cmd/internal/remote"
	"steward/web"
)

// A provider is one "steward serve" as any operator would start it.
type provider struct {
	name, host, data, url string
	dir                   string   // of its log
	args                  []string // of "steward"
	process               *process
	api                   *remote.API
}

// Names of the two providers.
const (
	nameAlpha = "Alpha"
	nameBeta  = "Beta"
)

// Ports of both providers: their hosts differ.
const (
	portHTTP  = "8080"
	portCoAPS = "5684"
	portPeer  = "8443"
	portPKI   = "8081"
	// portNowhere is where nobody listens, for faultCA2Down.
	portNowhere = "5999"
	// restRate has no limit: the demonstration is all the people and programs of a
	// provider in one.
	restRate = "-1"
)

// startProvider runs a provider and waits until it is ready.
func startProvider(ctx context.Context, dir, name, host string, t Timers, more ...string) (*provider, error) {
	p := &provider{name: name, host: host, data: filepath.Join(dir, strings.ToLower(name)), dir: dir}
	p.args = append([]string{
		"serve", "--data", p.data, "--name", name, "--host", host, "--http", host + ":" + portHTTP,
		"--coaps", ":" + portCoAPS, "--peer", ":" + portPeer, "--pki", ":" + portPKI, "--allow-test-range",
		"--ack-timeout", t.AckTimeout.String(), "--grace", t.Grace.String(), "--retry", t.Retry.String(),
		"--poll", t.Poll.String(), "--rest-rate", restRate,
	}, more...)
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(p.data, "admin.token"))
	if err != nil {
		p.stop()
		return nil, err
	}
	p.api = remote.NewAPI(p.url, strings.TrimSpace(string(token)))
	return p, nil
}

// start runs the provider and waits until it serves.
func (p *provider) start(ctx context.Context) (err error) {
	if p.process, err = start(ctx, p.dir, strings.ToLower(p.name), p.args...); err != nil {
		return err
	}
	if p.url, err = p.process.until(ctx, "  dashboard  "); err != nil {
		p.stop()
	}
	return err
}

// crash kills the provider and starts it again.
func (p *provider) crash(ctx context.Context) error {
	p.process.kill()
	return p.start(ctx)
}

func (p *provider) stop() { p.process.stop() }

// signInLink asks for a link for a person.
func (p *provider) signInLink(ctx context.Context) (string, error) {
	var out struct {
		URL string `json:"url"`
	}
	err := p.api.Post(ctx, "/sign-in-links", map[string]string{"name": "demo", "role": string(web.RoleAdmin)}, &out)
	return out.URL, err
}

// online returns the registered devices by endpoint.
func (p *provider) online(ctx context.Context) (map[string]web.Device, error) {
	list, err := remote.All[web.Device](ctx, p.api, "/devices?page_size=200&state=online")
	out := map[string]web.Device{}
	for _, d := range list {
		out[d.Endpoint] = d
	}
	return out, err
}

// waitFor polls until done says so, or the time is over.
func waitFor(ctx context.Context, limit time.Duration, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ok, err := done(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not done within %v: %w", limit, ctx.Err())
		}
	}
}
