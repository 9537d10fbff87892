package pagebench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/remote"
	"steward/web/api"
)

// A client asks as a browser does that is signed in, and as a script with a token.
type client struct {
	base  string
	token string
	http  *http.Client
	rest  *remote.API
}

// signIn uses a one-time link, as a person does.
func signIn(ctx context.Context, a *app.App, data string) (*client, error) {
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &client{
		base: a.DashboardURL(), token: strings.TrimSpace(string(token)),
		http: &http.Client{Jar: jar, Timeout: time.Minute},
	}
	c.rest = remote.NewAPI(c.base, c.token)
	link, err := a.SignInLink(ctx)
	if err != nil {
		return nil, err
	}
	address, secret, _ := strings.Cut(link, "?link=")
	form := strings.NewReader(url.Values{"link": {secret}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, form)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = c.do(req)
	return c, err
}

// An answer is what came for one request.
type answer struct {
	status int
	size   int64
	took   time.Duration // from the request to the end of the body
}

// get asks for an address.
func (c *client) get(ctx context.Context, target string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+target, nil)
	if err != nil {
		return answer{}, err
	}
	if strings.HasPrefix(target, api.Prefix) || target == "/metrics" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.do(req)
}

func (c *client) do(req *http.Request) (answer, error) {
	begun := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read to the end
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, size: n, took: time.Since(begun)}
	if a.status >= http.StatusBadRequest {
		return a, fmt.Errorf("%s: %w %d", req.URL.Path, errStatus, a.status)
	}
	return a, nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// freeAddress returns an address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
