package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/owner"
	"steward/web"
)

// Hosts of the two providers.
const (
	hostAlpha = "127.0.0.11"
	hostBeta  = "127.0.0.12"
)

// Device classes of the demonstration.
const (
	vendorDomain = "steward.example"
	className    = "simulated"
	imageSize    = 8 << 10
)

// slowBy is how much longer everything may take where much is lost.
const slowBy = 5

const pollInterval = 100 * time.Millisecond

// window is how long devices may be told to commit, where the fault wants that short.
const window = 3 * time.Second

// limit is how long a phase may take: generous, for a slow machine.
func (d *demo) limit() time.Duration {
	limit := time.Minute + time.Duration(d.o.Devices)*time.Second/2
	if d.fault.loss() != "" {
		limit *= slowBy
	}
	return limit
}

func (d *demo) startProviders(ctx context.Context) (err error) {
	more, err := d.prepareCA(ctx, nameAlpha)
	if err != nil {
		return err
	}
	more = append(more, d.serverEncoding()...)
	if d.alpha, err = startProvider(ctx, d.dir, nameAlpha, hostAlpha, d.o.Timers, more...); err != nil {
		return err
	}
	if more, err = d.prepareCA(ctx, nameBeta); err != nil {
		return err
	}
	more = append(more, d.serverEncoding()...)
	if d.fault.name == faultCA2Down {
		more = append(more, "--public-coaps", hostBeta+":"+portNowhere)
	}
	d.beta, err = startProvider(ctx, d.dir, nameBeta, hostBeta, d.o.Timers, more...)
	return err
}

// introduce makes the devices, and lets everybody know whom to trust.
func (d *demo) introduce(ctx context.Context) error {
	var settings json.RawMessage
	if err := d.alpha.api.Get(ctx, "/device-settings", &settings); err != nil {
		return err
	}
	file := filepath.Join(d.dir, "alpha-settings.json")
	if err := keys.WriteFile(file, settings); err != nil {
		return err
	}
	single := d.o.Hierarchy == hierarchySingle // Alpha's directory is the factory's
	if single {
		d.alpha.stop()
	}
	if err := d.makeDevices(ctx, file); err != nil {
		return err
	}
	if single {
		if err := d.alpha.start(ctx); err != nil {
			return err
		}
	}
	root, err := os.ReadFile(filepath.Join(d.dir, "devices", "permanent-ca.pem"))
	if err != nil {
		return err
	}
	for _, p := range []*provider{d.alpha, d.beta} {
		if err := p.api.Post(ctx, "/factory-authorities", map[string][]byte{"certificate": root}, nil); err != nil {
			return err
		}
	}
	if err := d.importDevices(ctx); err != nil {
		return err
	}
	return d.meet(ctx)
}

// userName is the owner of the devices, who orders the hand-over.
const userName = "Owner"

// meet exchanges the identity files: of the providers, and of the service user.
func (d *demo) meet(ctx context.Context) (err error) {
	user := owner.Options{Dir: filepath.Join(d.dir, "service-user")}
	if d.user, err = owner.Create(user, userName, time.Now()); err != nil {
		return err
	}
	for _, pair := range [][2]*provider{{d.alpha, d.beta}, {d.beta, d.alpha}} {
		var identity json.RawMessage
		if err := pair[0].api.Get(ctx, "/identity", &identity); err != nil {
			return err
		}
		for _, file := range []json.RawMessage{identity, d.user.Identity} {
			if err := pair[1].api.Post(ctx, "/partners", web.NewPartner{Identity: file}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeDevices runs the factory.
func (d *demo) makeDevices(ctx context.Context, settings string) error {
	return d.runToEnd(ctx, "factory",
		"ca", "factory", "--data", d.factoryData(), "--out", filepath.Join(d.dir, "devices"),
		"--count", strconv.Itoa(d.o.Devices), "--provider", settings, "--vendor", vendorDomain, "--class", className,
		"--permanent-uri", d.permanentURI())
}

// importDevices tells Alpha the factory certificates of the devices to come.
func (d *demo) importDevices(ctx context.Context) error {
	bundles, err := loadBundles(d.dir)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		d.names = append(d.names, b.Endpoint)
	}
	return each(ctx, bundles, func(ctx context.Context, b *bundle.Bundle) (err error) {
		in := web.NewDevice{Certificate: []byte(b.Factory.Chain[0])}
		if in.Attestation, err = attestationOf(b); err != nil {
			return err
		}
		return d.alpha.api.Post(ctx, "/devices", in, nil)
	})
}

// enrol starts the devices and waits until all are registered at Alpha.
func (d *demo) enrol(ctx context.Context) error {
	if err := d.startFleet(ctx); err != nil {
		return err
	}
	return d.untilOnline(ctx, d.alpha)
}

// untilOnline waits until all devices are registered at p.
func (d *demo) untilOnline(ctx context.Context, p *provider) error {
	return waitFor(ctx, d.limit(), func(ctx context.Context) (bool, error) {
		online, err := p.online(ctx)
		d.show.progress(len(online))
		return len(online) == d.o.Devices, err
	})
}

// update rolls a new image out, to half of the devices by push and to the others
// by pull.
func (d *demo) update(ctx context.Context) error {
	return d.rollOut(ctx, d.alpha, "2.0.0", func(names []string) map[web.Delivery][]string {
		half := (len(names) + 1) / 2
		return map[web.Delivery][]string{web.Push: names[:half], web.Pull: names[half:]}
	})
}

// updateAtBeta shows that the new provider's manifests count now, and that the
// sequence number goes on from the former provider's.
func (d *demo) updateAtBeta(ctx context.Context) error {
	if d.fault.home != moved {
		return nil // the devices are at Alpha
	}
	return d.rollOut(ctx, d.beta, "3.0.0", func(names []string) map[web.Delivery][]string {
		return map[web.Delivery][]string{web.Push: names}
	})
}

// release adds an image of random bytes, approved.
func (d *demo) release(ctx context.Context, p *provider, version string) (r web.Release, err error) {
	image := make([]byte, imageSize)
	_, _ = rand.Read(image) // never fails (crypto/rand)
	err = p.api.Post(ctx, "/releases", web.NewRelease{
		Name: "demo " + version, Image: image, Version: version, Vendor: vendorDomain, Class: className,
		Sequence: sequenceOf[version], Approve: true, // nobody else is there
	}, &r)
	return r, err
}

// rollOut releases an image and brings it to all devices of p.
func (d *demo) rollOut(ctx context.Context, p *provider, version string,
	split func(names []string) map[web.Delivery][]string,
) error {
	devices, err := p.online(ctx)
	if err != nil {
		return err
	}
	release, err := d.release(ctx, p, version)
	if err != nil {
		return err
	}
	var campaigns []string
	for delivery, names := range split(d.names) {
		in := web.NewCampaign{Name: version + " by " + string(delivery), Release: release.ID, Delivery: delivery}
		for _, name := range names {
			in.Devices = append(in.Devices, devices[name].ID)
		}
		if len(in.Devices) == 0 {
			continue
		}
		var made web.Campaign
		if err := p.api.Post(ctx, "/campaigns", in, &made); err != nil {
			return err
		}
		campaigns = append(campaigns, made.ID)
	}
	return waitFor(ctx, d.limit(), func(ctx context.Context) (bool, error) {
		return d.campaignsEnded(ctx, p, campaigns)
	})
}

// sequenceOf are the sequence numbers of the releases: Beta's is above Alpha's.
var sequenceOf = map[string]uint64{"2.0.0": 2, versionFirst: 3, "3.0.0": 4}

// versionFirst is what devices find at Beta's update server before they enrol there.
const versionFirst = "2.5.0"

func (d *demo) campaignsEnded(ctx context.Context, p *provider, ids []string) (bool, error) {
	done, failed, ended := 0, 0, 0
	for _, id := range ids {
		var c web.Campaign
		if err := p.api.Get(ctx, "/campaigns/"+id, &c); err != nil {
			return false, err
		}
		done, failed = done+c.Done, failed+c.Failed
		if c.Ended {
			ended++
		}
	}
	d.show.progress(done)
	if failed > 0 {
		return false, fmt.Errorf("%w: %d updates failed", ErrFailed, failed)
	}
	return ended == len(ids), nil
}
