package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
)

// serverConfig is the server that is measured: one provider with all its parts,
// on the loopback network.
func serverConfig(data, addr string) (config.Config, error) {
	o := config.Default()
	o.Data, o.Name, o.Host, o.AllowTestRange = data, "bench", "127.0.0.1", true
	o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", addr, "off", "off"
	return config.New(o)
}

// ServeOptions configure the server's process.
type ServeOptions struct {
	Data   string // directory of everything that lasts
	Addr   string // for devices
	Stamps bool   // measure latencies from the kernel's receive stamps, which costs time
	Log    *slog.Logger
}

// Serve is the server's process: it listens for devices, prints its coaps URI and
// runs until ctx or in ends, obeying what the measuring process writes to in.
func Serve(ctx context.Context, o ServeOptions, in io.Reader, out io.Writer) error {
	cfg, err := serverConfig(o.Data, o.Addr)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	cfg.Stamps = o.Stamps
	a, err := app.New(ctx, cfg, o.Log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- a.Run(ctx) }()
	_, err = fmt.Fprintln(out, a.CoAPSURI())
	if err == nil {
		err = (&controller{sockets: a.SocketStats, read: a.ReadDevice, push: a}).obey(ctx, in, out)
	}
	cancel()
	return errors.Join(err, <-failed, a.Close())
}
