package est

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"steward/lwm2m/audit"
)

// BootstrapRight is the name of the right of a device that has no factory
// certificate: it proves itself to the Bootstrap-Server, and that makes its right.
func BootstrapRight(endpoint string) Hash { return sha256.Sum256([]byte("bootstrap " + endpoint)) }

// OpenBootstrap lets the device called endpoint enrol, because a Bootstrap-Server has
// just led it here (LwM2M Core §E.1, mode 4). Each bootstrap opens the right again,
// for another key if need be: the certificate before is good until then, and revoked
// with the issue of the new one. A device with a factory certificate keeps the right
// of that, which bootstrap does not open. It returns the client that the device now
// is, ErrName, or ErrForbidden for one whose right is suspended or deleted.
func (ca *CA) OpenBootstrap(ctx context.Context, endpoint string) (Client, error) {
	if err := checkName(endpoint); err != nil {
		return Client{}, err
	}
	right, err := again(func() (Right, error) { return ca.openBootstrap(ctx, endpoint) })
	return Client{Role: RoleBootstrap, Certificate: right.Factory, Name: endpoint}, err
}

func (ca *CA) openBootstrap(ctx context.Context, endpoint string) (Right, error) {
	rights, err := ca.o.Store.Rights(ctx, endpoint, Hash{}, MaxPage)
	if err != nil {
		return Right{}, err
	}
	own := BootstrapRight(endpoint)
	for _, r := range rights {
		if r.Factory != own && r.State != RightDeleted {
			return r, nil
		}
	}
	r, err := ca.o.Store.Right(ctx, own)
	if errors.Is(err, ErrUnknown) {
		r = Right{
			Factory: own, Endpoint: endpoint, State: RightClosed, Epoch: 1, ChangedAt: ca.now(),
		}
		err = ca.o.Store.Commit(ctx, Change{Right: &r, Audit: []audit.Row{
			ca.row("right.grant", own, "right for "+endpoint+" by bootstrap", "", string(RightClosed)),
		}})
		r.Version = 1
	}
	if err != nil {
		return Right{}, err
	}
	switch r.State {
	case RightClosed:
		return ca.advance(ctx, r, EventOpen, step{})
	case RightConsumed:
		return ca.advance(ctx, r, EventReopen, step{})
	case RightOpen:
		return r, nil
	default:
		return Right{}, fmt.Errorf("%w: right of %s is %s", ErrForbidden, endpoint, r.State)
	}
}
