package sim

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"time"

	"steward/suit"
	"steward/suit/cose"
	"steward/suit/process"
)

// milliwattHours is the charge of a full battery.
const milliwattHours = 10000

// management answers what manifests ask of the device
// (draft-ietf-suit-update-management). A device that does not know the time refuses
// manifests that need it.
func (l *life) management() *process.Management {
	g := &process.Management{
		Battery: func(context.Context) (uint64, error) {
			level, _ := l.battery.table.Value(batteryLevel).Uint()
			return milliwattHours * level / 100, nil
		},
		Authorize: func(context.Context, int64) error { return nil },
		Version:   l.componentVersion,
		Wait:      l.await,
	}
	if !l.o.NoClock {
		g.Now = time.Now
	}
	return g
}

// componentVersion is that of the image that a component holds.
func (l *life) componentVersion(_ context.Context, id suit.ComponentID) (suit.Version, error) {
	return suit.ParseVersion(l.fw.target.version(id, l.d.b.Firmware.Version))
}

var errWait = errors.New("this device cannot wait for that")

// await waits for a time; what else there is to wait for has always come.
func (l *life) await(ctx context.Context, w suit.Wait) error {
	at, ok := w.Events[suit.WaitTime]
	if !ok {
		return nil
	}
	if l.o.NoClock {
		return errWait
	}
	if !wait(ctx, time.Until(time.Unix(at, 0))) {
		return ctx.Err()
	}
	return nil
}

// decryption returns the keys to which firmware is encrypted for this device: that of
// its factory certificate, which authors know, and before it enrols that which it is
// about to enrol.
func (l *life) decryption() (keys []*cose.RecipientKey, err error) {
	all := []crypto.Signer{l.factory().key}
	if e, ok := l.updating(); ok {
		all = append(all, e.Key)
	}
	for _, one := range all {
		key, ok := one.(*ecdsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("%w: key is not an EC key", ErrOptions)
		}
		exchange, err := key.ECDH()
		if err != nil {
			return nil, err
		}
		k, err := cose.NewPrivateKey(exchange, nil)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}
