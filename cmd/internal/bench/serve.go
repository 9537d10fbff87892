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

// Serve is the server's process: it listens for devices at addr, prints its coaps
// URI and runs until ctx or in ends, obeying what the measuring process writes to in.
func Serve(ctx context.Context, data, addr string, in io.Reader, out io.Writer, log *slog.Logger) error {
	cfg, err := serverConfig(data, addr)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	a, err := app.New(ctx, cfg, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- a.Run(ctx) }()
	_, err = fmt.Fprintln(out, a.CoAPSURI())
	if err == nil {
		err = (&controller{sockets: a.SocketStats, read: a.ReadDevice}).obey(ctx, in, out)
	}
	cancel()
	return errors.Join(err, <-failed, a.Close())
}
