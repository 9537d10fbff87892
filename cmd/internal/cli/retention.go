package cli

import (
	"time"

	"github.com/spf13/pflag"

	"steward/cmd/internal/config"
)

// retentionFlags binds for how long things are kept.
func retentionFlags(f *pflag.FlagSet, r *config.Retention) {
	f.IntVar(&r.Events, "keep-events", r.Events, "`days` of events, for streams and webhooks that come back (default 7)")
	f.IntVar(&r.Operations, "keep-operations", r.Operations, "`days` of operations that are over (default 7)")
	f.IntVar(&r.Values, "keep-values", r.Values,
		"most `days` of values over time, whatever the rules of resources say (default as these say)")
	f.DurationVar((*time.Duration)(&r.Trace), "keep-trace", time.Duration(r.Trace),
		"how long a device's trace that is over can be looked at (default 1h)")
	f.IntVar(&r.Audit, "keep-audit", r.Audit,
		"`days` of audit rows in the database; older ones go to files in DATA/audit (default all stay)")
}
