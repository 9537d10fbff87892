package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

// followAgain is how long it takes to look again after a stream of events ended.
const followAgain = time.Second

func (o *operator) auditFollow() *cobra.Command {
	f := follower{o: o}
	cmd := &cobra.Command{
		Use: "follow", Short: "Show rows as they are written, until interrupted", Args: noArgs,
		Long: `Shows the newest rows, the oldest of them first, and then each that is written, until
Ctrl-C. With --json a row is a line. Rows that are written while the provider restarts
are shown when it is back.`,
		Example: "  steward audit follow\n" +
			"  steward audit follow --rows 0 --json | jq -r 'select(.action == \"handshake.refuse\").reason'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.rows < 0 || f.rows > web.MaxPageSize {
				return fmt.Errorf("%w: --rows is 0 to %d", errMisused, web.MaxPageSize)
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			f.api, f.out, f.talk = api, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return f.run(cmd.Context())
		},
	}
	cmd.Flags().IntVar(&f.rows, "rows", 10, "`number` of rows to begin with") //nolint:mnd // as tail has it
	return cmd
}

// A follower prints audit rows. It learns by the stream of events that there are some,
// and reads them from the list, so that none is left out.
type follower struct {
	o    *operator
	api  *remote.API
	out  io.Writer
	talk io.Writer
	rows int
	last int64 // id of the row that was printed last
	rest []byte
	err  error // of printing
}

func (f *follower) run(ctx context.Context) error {
	if err := f.begin(ctx); err != nil {
		return err
	}
	for {
		err := f.api.Download(ctx, http.MethodGet, "/events?type="+web.EventAudit, followWriter{f, ctx})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // whoever follows has seen enough
		}
		var refused *remote.ProblemError
		if f.err != nil || errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
			return cmp.Or(f.err, err)
		}
		select {
		case <-time.After(followAgain):
		case <-ctx.Done():
		}
	}
}

// begin prints the newest rows.
func (f *follower) begin(ctx context.Context) error {
	var page web.List[web.AuditRow]
	if err := f.api.Get(ctx, "/audit?page_size="+strconv.Itoa(max(f.rows, 1)), &page); err != nil {
		return err
	}
	if len(page.Items) > 0 {
		f.last = page.Items[0].ID
	}
	return f.print(page.Items[:min(f.rows, len(page.Items))])
}

// more prints what was written since.
func (f *follower) more(ctx context.Context) error {
	var all []web.AuditRow
	path := "/audit?page_size=" + strconv.Itoa(web.MaxPageSize)
	for next := ""; ; {
		var page web.List[web.AuditRow]
		if err := f.api.Get(ctx, path+next, &page); err != nil {
			return err
		}
		known := slices.IndexFunc(page.Items, func(r web.AuditRow) bool { return r.ID <= f.last })
		if known >= 0 {
			page.Items, page.Next = page.Items[:known], ""
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			break
		}
		if len(all) >= maxFollowed {
			_, _ = fmt.Fprintln(f.talk, "steward: older rows are left out: see steward audit export")
			break
		}
		next = "&page_token=" + page.Next
	}
	if len(all) > 0 {
		f.last = all[0].ID
	}
	return f.print(all)
}

// maxFollowed bounds the rows that are read back at once, in memory.
const maxFollowed = 10_000

// print writes rows, of which the newest come first, in the order of their ids.
func (f *follower) print(rows []web.AuditRow) error {
	for _, r := range slices.Backward(rows) {
		if f.err = f.line(r); f.err != nil {
			return f.err
		}
	}
	return nil
}

func (f *follower) line(r web.AuditRow) error {
	if f.o.asJSON {
		return json.NewEncoder(f.out).Encode(r)
	}
	change := ""
	if r.Before != "" || r.After != "" {
		change = cmp.Or(r.Before, "-") + " → " + cmp.Or(r.After, "-")
	}
	row := [][]string{{moment(r.At), r.Actor, r.Action, r.Subject, change, r.Reason}}
	if f.o.asCSV {
		return writeCSV(f.out, row)
	}
	return table(f.out, row)
}

// A followWriter is where the stream of events goes: each line of data is a sign that
// there are rows.
type followWriter struct {
	f   *follower
	ctx context.Context //nolint:containedctx // of the one download that it is made for
}

// Write implements io.Writer.
func (w followWriter) Write(b []byte) (int, error) {
	f := w.f
	for chunk := range bytes.Lines(b) {
		f.rest = append(f.rest, chunk...)
		if !bytes.HasSuffix(chunk, []byte("\n")) {
			break
		}
		line := f.rest
		f.rest = f.rest[:0]
		if bytes.HasPrefix(line, []byte("retry:")) || f.news(line) {
			if err := f.more(w.ctx); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

// news reports whether a line tells of a row that was not printed yet.
func (f *follower) news(line []byte) bool {
	text, ok := bytes.CutPrefix(line, []byte("data: "))
	if !ok {
		return false
	}
	var e struct {
		Data struct {
			ID     int64 `json:"id"`
			Before int64 `json:"before"`
		} `json:"data"`
	}
	return json.Unmarshal(text, &e) != nil || max(e.Data.ID, e.Data.Before) > f.last
}
