package cabench

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/sqlite"
	"steward/est"
)

// A device is one that enrols.
type device struct {
	client est.Client
	csr    []byte
}

// issuance lets devices enrol between two measures of the floor.
func (r *run) issuance(ctx context.Context) error {
	r.say("making %d devices …", r.o.Devices)
	devices, err := r.devices(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(r.dir, "floor.db")
	floor, err := sqlite.OpenFloor(ctx, path)
	if err != nil {
		return err
	}
	defer floor.Close() //nolint:errcheck // the file is removed
	half := len(devices) / 2
	before, err := r.floor(ctx, floor, devices[:half])
	if err != nil {
		return err
	}
	r.say("%d devices enrol, %d at once …", len(devices), r.o.InFlight)
	mine, err := measured(func() (err error) {
		stop, err := profile(r.o.Profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(r.o.InFlight)
		for _, d := range devices {
			g.Go(func() error {
				_, err := r.ca.Enrol(ctx, est.Request{Client: d.client, CSR: d.csr})
				return err
			})
		}
		return g.Wait()
	})
	if err != nil {
		return err
	}
	after, err := r.floor(ctx, floor, devices[half:])
	if err != nil {
		return err
	}
	n := float64(len(devices))
	r.result.Devices = len(devices)
	r.result.IssuedPerS = n / mine.wall.Seconds()
	r.result.IssueCPU = microseconds(mine.cpu) / n
	r.result.FloorCPU = microseconds(before.cpu+after.cpu) / n
	r.result.Ratio = r.result.IssueCPU / r.result.FloorCPU
	return nil
}

// devices registers devices of the factory, with open rights.
func (r *run) devices(ctx context.Context) ([]device, error) {
	out := make([]device, r.o.Devices)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.InFlight)
	for i := range out {
		g.Go(func() error { return r.register(ctx, &out[i], fmt.Sprintf("bench-%06d", i)) })
	}
	return out, g.Wait()
}

func (r *run) register(ctx context.Context, d *device, name string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	token, err := r.factory.Prepare(est.DefaultProfiles().Factory, est.Subject{Name: name, Key: key.Public()}, time.Now())
	if err != nil {
		return err
	}
	c, err := r.factory.Issue(token)
	if err != nil {
		return err
	}
	right, err := r.ca.GrantRight(ctx, est.Grant{FactoryDER: c.Raw})
	if err != nil {
		return err
	}
	if _, err := r.ca.OpenRight(ctx, right.Factory, est.Hash{}); err != nil {
		return err
	}
	if key, err = newKey(); err != nil {
		return err
	}
	d.client = est.Client{Role: est.RoleFactory, Certificate: right.Factory, Name: name}
	d.csr, err = est.NewCSR(key, name)
	return err
}

// floor does what no CA can do without: each request is parsed and verified, a
// certificate is made by crypto/x509, and a row is committed with 49 others.
func (r *run) floor(ctx context.Context, to *sqlite.Floor, devices []device) (used, error) {
	const rows = 50
	return measured(func() error {
		var mu sync.Mutex
		var waiting [][]byte
		flush := func(least int) error {
			mu.Lock()
			batch := waiting
			if len(batch) < least {
				mu.Unlock()
				return nil
			}
			waiting = nil
			mu.Unlock()
			return to.Write(ctx, batch)
		}
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for _, d := range devices {
			g.Go(func() error {
				der, err := r.bare(d.csr)
				if err != nil {
					return err
				}
				mu.Lock()
				waiting = append(waiting, der)
				mu.Unlock()
				return flush(rows)
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		return flush(1)
	})
}

// bare issues by crypto/x509 alone what the CA issues to devices.
func (r *run) bare(csr []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	const bits = 126
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: request.Subject.CommonName},
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, r.issuing, request.PublicKey, r.key)
}

// used is what a part of the run took.
type used struct{ cpu, wall time.Duration }

// measured does something and returns the process's CPU time for it, the collection
// of its garbage included.
func measured(do func() error) (used, error) {
	runtime.GC()
	from, begun := cpu(), time.Now()
	err := do()
	wall := time.Since(begun)
	runtime.GC()
	return used{cpu() - from, wall}, err
}

// profile begins a CPU profile, which stop ends.
func profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// cpu returns the CPU time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only for a bad argument
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
