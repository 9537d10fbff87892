package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/sim"
	"steward/objects"
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

const pollInterval = 100 * time.Millisecond

// limit is how long a phase may take: generous, for a slow machine.
func (d *demo) limit() time.Duration {
	return time.Minute + time.Duration(d.o.Devices)*time.Second/2
}

func (d *demo) startProviders(ctx context.Context) (err error) {
	if d.alpha, err = startProvider(ctx, d.dir, "Alpha", hostAlpha, d.o.Timers); err != nil {
		return err
	}
	var more []string
	if d.o.Fault == FaultCA2Down {
		more = []string{"--public-coaps", hostBeta + ":" + portNowhere}
	}
	d.beta, err = startProvider(ctx, d.dir, "Beta", hostBeta, d.o.Timers, more...)
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
	if err := d.makeDevices(ctx, file); err != nil {
		return err
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

// meet exchanges the identity files: of the providers, and of the service user.
func (d *demo) meet(ctx context.Context) (err error) {
	if d.user, err = newServiceUser(filepath.Join(d.dir, "service-user")); err != nil {
		return err
	}
	for _, pair := range [][2]*provider{{d.alpha, d.beta}, {d.beta, d.alpha}} {
		var identity json.RawMessage
		if err := pair[0].api.Get(ctx, "/identity", &identity); err != nil {
			return err
		}
		for _, file := range []json.RawMessage{identity, d.user.identity} {
			if err := pair[1].api.Post(ctx, "/partners", web.NewPartner{Identity: file}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeDevices runs the factory.
func (d *demo) makeDevices(ctx context.Context, settings string) error {
	p, err := start(ctx, d.dir, "factory",
		"ca", "factory", "--data", filepath.Join(d.dir, "factory"), "--out", filepath.Join(d.dir, "devices"),
		"--count", fmt.Sprint(d.o.Devices), "--provider", settings, "--vendor", vendorDomain, "--class", className)
	if err != nil {
		return err
	}
	for range p.lines { // until it ends
		continue
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("factory: %w; see %s", p.err, p.log)
	}
	return nil
}

// importDevices tells Alpha the factory certificates of the devices to come.
func (d *demo) importDevices(ctx context.Context) error {
	bundles, err := loadBundles(d.dir)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		in := web.NewDevice{Certificate: []byte(b.Factory.Chain[0])}
		if err := d.alpha.api.Post(ctx, "/devices", in, nil); err != nil {
			return err
		}
		d.names = append(d.names, b.Endpoint)
	}
	return nil
}

// enrol starts the devices and waits until all are registered at Alpha.
func (d *demo) enrol(ctx context.Context) (err error) {
	if d.fleet, err = startFleet(ctx, d.dir, d.o.Timers, d.show); err != nil {
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

// observe asks for notifications of the battery level and waits until each
// device has sent one.
func (d *demo) observe(ctx context.Context) error {
	devices, err := d.alpha.online(ctx)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/%d/0/%d", objects.DeviceID, objects.DeviceBatteryLevel)
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		err := d.alpha.api.Post(ctx, "/devices/"+devices[name].ID+"/operations",
			map[string]string{"op": string(web.OpObserve), "path": path}, nil)
		if err != nil {
			return err
		}
		first[name] = d.value(ctx, devices[name].ID, path)
	}
	return waitFor(ctx, d.limit(), func(ctx context.Context) (bool, error) {
		changed := 0
		for name, dev := range devices {
			if v := d.value(ctx, dev.ID, path); v != "" && v != first[name] {
				changed++
			}
		}
		d.show.progress(changed)
		return changed == len(devices), nil
	})
}

// value returns what Alpha heard last of a resource, with the time: "" if nothing.
func (d *demo) value(ctx context.Context, id, path string) string {
	var out json.RawMessage
	if err := d.alpha.api.Get(ctx, "/devices/"+id+"/lwm2m"+path, &out); err != nil {
		return ""
	}
	return string(out)
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
	if d.o.Fault != "" {
		return nil // the devices are at Alpha
	}
	return d.rollOut(ctx, d.beta, "3.0.0", func(names []string) map[web.Delivery][]string {
		return map[web.Delivery][]string{web.Push: names}
	})
}

// rollOut releases an image and brings it to all devices of p.
func (d *demo) rollOut(ctx context.Context, p *provider, version string,
	split func(names []string) map[web.Delivery][]string,
) error {
	devices, err := p.online(ctx)
	if err != nil {
		return err
	}
	image := make([]byte, imageSize)
	_, _ = rand.Read(image) // never fails (crypto/rand)
	var release web.Release
	if err := p.api.Post(ctx, "/releases", web.NewRelease{
		Name: "demo " + version, Image: image, Version: version, Vendor: vendorDomain, Class: className,
		Sequence: sequenceOf[version], Approve: true, // nobody else is there
	}, &release); err != nil {
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
var sequenceOf = map[string]uint64{"2.0.0": 2, "3.0.0": 3}

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

// transfer runs the hand-over: drafted and approved at Alpha, approved at Beta.
func (d *demo) transfer(ctx context.Context) error {
	d.transferBegan = time.Now()
	defer func() { d.transferEnded = time.Now() }()
	devices, err := d.alpha.online(ctx)
	if err != nil {
		return err
	}
	beta, err := d.partner(ctx, d.alpha, d.beta.name)
	if err != nil {
		return err
	}
	latest := time.Now().Add(time.Hour).Truncate(time.Second)
	mandate, err := d.user.mandate(d.alpha.name, d.beta.name, d.dir, latest)
	if err != nil {
		return err
	}
	in := web.NewTransfer{Partner: beta, Latest: latest, Mandate: mandate, Note: "demonstration"}
	for _, name := range d.names {
		in.Devices = append(in.Devices, devices[name].ID)
	}
	var t web.Transfer
	if err := d.alpha.api.Post(ctx, "/transfers", in, &t); err != nil {
		return err
	}
	d.session = t.ID
	if err := d.command(ctx, d.alpha, t.ID, web.TransferSubmit); err != nil {
		return err
	}
	if err := d.approve(ctx, d.beta, web.Incoming); err != nil {
		return err
	}
	if err := d.approve(ctx, d.alpha, web.Outgoing); err != nil {
		return err
	}
	return d.untilHandedOver(ctx)
}

func (d *demo) command(ctx context.Context, p *provider, id string, a web.TransferAction) error {
	return p.api.Post(ctx, "/transfers/"+url.PathEscape(id)+"/commands", web.TransferCommand{Action: a}, nil)
}

// partner finds the id of a partner by its name.
func (d *demo) partner(ctx context.Context, p *provider, name string) (string, error) {
	var list web.List[web.Partner]
	if err := p.api.Get(ctx, "/partners", &list); err != nil {
		return "", err
	}
	for _, x := range list.Items {
		if x.Name == name {
			return x.ID, nil
		}
	}
	return "", fmt.Errorf("%w: %s does not know %s", ErrFailed, p.name, name)
}

// approve waits until the only transfer at p wants an approval, and gives it:
// the one human decision of that side.
func (d *demo) approve(ctx context.Context, p *provider, way web.Direction) error {
	var id string
	err := waitFor(ctx, d.limit(), func(ctx context.Context) (bool, error) {
		var list web.List[web.Transfer]
		if err := p.api.Get(ctx, "/transfers?direction="+string(way), &list); err != nil {
			return false, err
		}
		for _, t := range list.Items {
			if slices.Contains(t.Actions, web.TransferApprove) {
				id = t.ID
				return true, nil
			}
			if t.Ended {
				return false, fmt.Errorf("%w: the transfer ended as %s", ErrFailed, t.State)
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("approval at %s: %w", p.name, err)
	}
	return d.command(ctx, p, id, web.TransferApprove)
}

// untilHandedOver waits for the end of the transfer at Alpha, and for every
// device to be where it belongs.
func (d *demo) untilHandedOver(ctx context.Context) error {
	home, kind := d.beta, sim.Finalised
	if d.o.Fault == FaultCA2Down {
		home, kind = d.alpha, sim.FellBack
	}
	err := waitFor(ctx, d.limit()+4*d.o.Timers.Grace, func(ctx context.Context) (bool, error) {
		var t web.Transfer
		if err := d.alpha.api.Get(ctx, "/transfers/"+d.session, &t); err != nil {
			return false, err
		}
		d.show.progress(d.fleet.count(kind))
		return t.Ended || t.Done+t.Failed == t.Total, nil // PARTIAL keeps its doors open
	})
	if err != nil {
		return err
	}
	return d.untilOnline(ctx, home)
}
