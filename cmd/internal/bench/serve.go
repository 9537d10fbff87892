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
// on loopback ports of the system's choice.
func serverConfig(data string) (config.Config, error) {
	o := config.Default()
	o.Data, o.Name, o.Host, o.AllowTestRange = data, "bench", "127.0.0.1", true
	o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", "127.0.0.1:0", "off", "off"
	return config.New(o)
}

// Serve is the server's process: it prints its coaps URI and runs until ctx or in
// ends, obeying what the measuring process writes to in.
func Serve(ctx context.Context, data string, in io.Reader, out io.Writer, log *slog.Logger) error {
	cfg, err := serverConfig(data)
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
		err = (&controller{sockets: a.SocketStats}).obey(ctx, in, out)
	}
	cancel()
	return errors.Join(err, <-failed, a.Close())
}
