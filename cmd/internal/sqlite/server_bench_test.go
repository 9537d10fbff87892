package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/objects/registry"
)

// BenchmarkRegister registers devices, 100 at a time, each for the first time.
func BenchmarkRegister(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir()+"/steward.db")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(b.Context(), func(tx *Tx) error {
		for i := range b.N {
			d := fleet.Device{ID: fleet.ID(fmt.Sprintf("01BENCH%019d", i)), Endpoint: lwm2m.Endpoint(fmt.Sprint("ep-", i))}
			if err := putDevice(tx, d, "test", ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	next := make(chan int)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			for i := range next {
				now := time.Now()
				err := db.Server().Register(b.Context(), server.Registration{
					ID: fmt.Sprintf("%022d", i), Device: fleet.ID(fmt.Sprintf("01BENCH%019d", i)),
					Endpoint: lwm2m.Endpoint(fmt.Sprint("ep-", i)), Version: lwm2m.Version11, Lifetime: time.Hour,
					Binding: "U", Address: "127.0.0.1:5683", RegisteredAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
					Objects: []server.ObjectLink{
						{Path: lwm2m.NewPath(1, 0)}, {Path: lwm2m.NewPath(3, 0), Version: "1.2"}, {Path: lwm2m.NewPath(3303, 0)},
					},
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	group.Wait()
}

// BenchmarkRefresh folds refreshes, 512 a transaction.
func BenchmarkRefresh(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir()+"/steward.db")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const devices = 10_000
	var all []server.Refresh
	now := time.Now()
	for i := range devices {
		id := fleet.ID(fmt.Sprintf("01BENCH%019d", i))
		all = append(all, server.Refresh{
			ID: fmt.Sprintf("%022d", i), Device: id, Address: "127.0.0.1:5683", Lifetime: time.Hour, UpdatedAt: now,
		})
	}
	err = db.Update(b.Context(), func(tx *Tx) error {
		for i, n := range all {
			d := fleet.Device{ID: n.Device, Endpoint: lwm2m.Endpoint(fmt.Sprint(i))}
			if err := putDevice(tx, d, "test", ""); err != nil {
				return err
			}
			if _, err := tx.Exec("registration.put", string(n.Device), n.ID, "", "1.1", 60, "U", false, "", "", "{}", "",
				0, 0, micro(now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := 0; i < b.N; i += 512 {
		at := i % (devices - 512)
		part := all[at : at+512]
		for k := range part {
			part[k].UpdatedAt = part[k].UpdatedAt.Add(time.Second)
		}
		if err := db.Server().Refresh(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad starts a server on 100,000 registrations.
func BenchmarkLoad(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir()+"/steward.db")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const devices = 100_000
	r := server.Registration{
		Version: lwm2m.Version11, Lifetime: time.Hour, Binding: "U", Address: "127.0.0.1:5683",
		RegisteredAt: time.Now(), UpdatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour), Formats: []uint16{112, 60},
		Objects: []server.ObjectLink{
			{Path: lwm2m.NewPath(1, 0)}, {Path: lwm2m.NewPath(3, 0), Version: "1.2"}, {Path: lwm2m.NewPath(3303, 0)},
		},
	}
	var group sync.WaitGroup
	for first := range 512 {
		group.Go(func() {
			for i := first; i < devices; i += 512 {
				r := r
				r.Device, r.Endpoint = fleet.ID(fmt.Sprintf("01BENCH%019d", i)), lwm2m.Endpoint(fmt.Sprint("ep-", i))
				r.ID = server.Location{byte(i), byte(i >> 8), byte(i >> 16)}.String()
				err := db.Devices().Put(b.Context(), fleet.Device{ID: r.Device, Endpoint: r.Endpoint}, "test", "")
				if err == nil {
					err = db.Server().Register(b.Context(), r)
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	for b.Loop() {
		_, err := server.New(b.Context(), server.Options{
			Store: db.Server(), Exchanger: coap.New(coap.Options{}), Schema: registry.Default(),
			Identify: func(context.Context, coap.Identity, lwm2m.Endpoint) (fleet.ID, error) { return "", nil },
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
