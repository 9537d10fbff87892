package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"steward/web"
)

// newLog returns the log on w: text for people, or JSON lines.
func newLog(w io.Writer, level string, asJSON bool) (*slog.Logger, error) {
	log, _, err := newLevelledLog(w, level, asJSON)
	return log, err
}

// newLevelledLog returns a log whose level can be changed.
func newLevelledLog(w io.Writer, level string, asJSON bool) (*slog.Logger, *slog.LevelVar, error) {
	l := &slog.LevelVar{}
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("%w: --log-level: %w", errMisused, err)
	}
	o := &slog.HandlerOptions{Level: l}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, o)), l, nil
	}
	return slog.New(slog.NewTextHandler(w, o)), l, nil
}

// toggleLog has SIGHUP switch between all that can be logged and what was chosen, until
// ctx ends.
func toggleLog(ctx context.Context, log *slog.Logger, level *slog.LevelVar) {
	chosen := level.Level()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			to := slog.LevelDebug
			if level.Level() == slog.LevelDebug {
				to = chosen
			}
			level.Set(to)
			log.LogAttrs(ctx, max(to, slog.LevelInfo), "log level", slog.String("level", to.String()))
		case <-ctx.Done():
			return
		}
	}
}

func newLogLevel() *cobra.Command {
	o := &operator{}
	cmd := &cobra.Command{
		Use: "log-level [flags] [LEVEL]", Short: "Show or change what a running provider logs",
		Long: `Shows the level of a running provider's log, or changes it until the next start:
debug, info, warn, error. SIGHUP does without a token: it switches between debug and
the level that the provider was started with.

The provider is the one at --url; --token-file has the token of an administrator.`,
		Example: "  steward log-level debug",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var l web.LogLevel
			if len(args) == 0 {
				err = api.Get(cmd.Context(), "/log-level", &l)
			} else {
				body := fmt.Appendf(nil, `{"level":%q}`, args[0])
				err = api.Send(cmd.Context(), http.MethodPut, "/log-level", body, &l)
			}
			if err != nil {
				return err
			}
			return o.print(cmd, l, func() [][]string { return [][]string{{l.Level}} })
		},
	}
	o.flags(cmd)
	return cmd
}
