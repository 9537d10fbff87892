package esthttp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"steward/est"
)

// An Upstream is an external CA behind an EST server, asked as a registration
// authority for devices. It implements est.Upstream.
type Upstream struct {
	client  *Client
	anchors []*x509.Certificate
}

var _ est.Upstream = (*Upstream)(nil)

// NewUpstream asks by client for certificates that lead to one of the anchors.
func NewUpstream(client *Client, anchors []*x509.Certificate) (*Upstream, error) {
	if client == nil || len(anchors) == 0 {
		return nil, fmt.Errorf("%w: an external CA needs a client and anchors", ErrOptions)
	}
	return &Upstream{client: client, anchors: anchors}, nil
}

// Anchors implements est.Upstream.
func (u *Upstream) Anchors() []*x509.Certificate { return slices.Clone(u.anchors) }

// Certify implements est.Upstream. The device signed its request, which is passed on
// as it is: the external CA sees the proof of possession. A server that finds fault
// with the request declines it; one that finds fault with us can be asked again once
// somebody has put that right.
func (u *Upstream) Certify(ctx context.Context, e est.Errand) ([][]byte, error) {
	certs, err := u.client.Enrol(ctx, e.Request)
	if status := (*StatusError)(nil); errors.As(err, &status) {
		switch status.Status {
		case http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			return nil, fmt.Errorf("%w: %w", est.ErrDeclined, err)
		}
	}
	if err != nil {
		return nil, err
	}
	// Which of the others lead to the anchor, cacerts knows; none of them is trusted.
	above, err := u.client.Cacerts(ctx)
	if err != nil {
		return nil, err
	}
	chain := [][]byte{}
	for _, c := range slices.Concat(certs, above) {
		known := slices.ContainsFunc(chain, func(der []byte) bool { return slices.Equal(der, c.Raw) })
		key, err := est.SPKI(c.PublicKey)
		switch {
		case known:
		case err == nil && key == e.SPKI && !c.IsCA:
			chain = slices.Insert(chain, 0, c.Raw)
		default:
			chain = append(chain, c.Raw)
		}
	}
	return chain, nil
}
