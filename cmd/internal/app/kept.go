package app

import (
	"context"
	"fmt"

	"steward/lwm2m/server"
	"steward/lwm2m/transport"
)

// loadRegistrations makes the LwM2M server, which knows who is registered.
func (a *App) loadRegistrations(ctx context.Context) (err error) {
	a.server, err = server.New(ctx, server.Options{
		Store: a.db.Server(), Exchanger: a.engine, Schema: a.registry, Identify: a.identify, Log: a.log,
		Find: a.find, Signs: a.signs, Tolerant: a.cfg.Tolerant, Awake: a.cfg.Awake,
	})
	if err != nil {
		return fmt.Errorf("registrations: %w", err)
	}
	a.db.WatchDevices(a.server.Doubt)
	return nil
}

// listen binds the sockets for devices, and takes up their associations.
func (a *App) listen() (err error) {
	proves, err := a.newCredentials(a.cfg.ServerCertificates)
	if err != nil {
		return err
	}
	a.coaps, err = transport.Listen(transport.ListenOptions{
		Addr: a.cfg.CoAPS, Credentials: proves, Engine: a.engine, Log: a.log,
		Refused: a.refused, Stamps: a.cfg.Stamps,
		FlightInterval: a.cfg.AckTimeout / 2, // 1 s by default, as DTLS has it (RFC 6347 §4.2.4.1)
		Keep: transport.KeepOptions{
			Dir: a.dir.file(dirAssociations), Rejudge: a.rejudge, Woke: a.woke,
		},
	})
	if err != nil {
		return fmt.Errorf("coaps: %w", err)
	}
	if err := a.listenStreams(proves); err != nil {
		return err
	}
	if a.cfg.CoAP == "" {
		return nil
	}
	a.coap, err = transport.Listen(transport.ListenOptions{Addr: a.cfg.CoAP, Engine: a.engine, Log: a.log})
	if err != nil {
		return fmt.Errorf("coap: %w", err)
	}
	return nil
}
