package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// Want implements server.Values.
func (s Server) Want(ctx context.Context, device fleet.ID, t server.Target, on bool, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		action := "observation.want"
		var res sql.Result
		var err error
		if on {
			res, err = tx.Exec("observation.put", string(device), t.Names(), t.Query())
		} else {
			action = "observation.cancel"
			res, err = tx.Exec("observation.delete", string(device), t.Names())
		}
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // nothing changed: no row
		}
		return tx.Audit(audit.Row{Actor: actor, Action: action, Subject: string(device), After: t.String()})
	})
}

// Wanted implements server.Values.
func (s Server) Wanted(ctx context.Context, device fleet.ID) ([]server.Wish, error) {
	rows, err := s.db.Query(ctx, "observation.list", string(device))
	if err != nil {
		return nil, err
	}
	wishes, err := collect(rows, func(r *sql.Rows) (w server.Wish, err error) {
		var names, query string
		if err = r.Scan(&names, &query, &w.Template); err != nil {
			return w, err
		}
		w.Target, err = server.ParseTarget(names, query)
		return w, err
	})
	slices.SortFunc(wishes, func(a, b server.Wish) int { // those of the device before those of templates
		return cmp.Or(strings.Compare(a.Names(), b.Names()), strings.Compare(a.Template, b.Template))
	})
	return slices.CompactFunc(wishes, func(a, b server.Wish) bool { return a.Names() == b.Names() }), err
}

// PutTemplate stores t in place of that of the same name, with its audit row. It
// returns server.ErrTemplate for one that cannot be stored.
func (s Server) PutTemplate(ctx context.Context, t server.Template, actor string) error {
	if err := t.Check(); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := templateBefore(tx, t.Name)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("observation_template.delete", t.Name); err != nil {
			return err
		}
		for _, w := range t.Targets {
			if _, err := tx.Exec("observation_template.insert", t.Name, w.Names(), w.Query(), t.Tag); err != nil {
				return err
			}
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "observation.template", Subject: t.Name, Before: before, After: t.String(),
		})
	})
}

// templateBefore returns the text of the template of that name, "" if there is none,
// or why there cannot be one more.
func templateBefore(tx *Tx, name string) (string, error) {
	rows, err := tx.Query("observation_template.list", maxTemplateRows)
	if err != nil {
		return "", err
	}
	all, err := collectTemplates(rows)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(all, func(o server.Template) bool { return o.Name == name }); i >= 0 {
		return all[i].String(), nil
	}
	if len(all) >= server.MaxTemplates {
		return "", fmt.Errorf("%w: there are %d already", server.ErrTemplate, len(all))
	}
	return "", nil
}

// maxTemplateRows is above what all templates together can have.
const maxTemplateRows = server.MaxTemplates * server.MaxTargets

// Templates returns all templates in order of their names.
func (s Server) Templates(ctx context.Context) ([]server.Template, error) {
	rows, err := s.db.Query(ctx, "observation_template.list", maxTemplateRows)
	if err != nil {
		return nil, err
	}
	return collectTemplates(rows)
}

func collectTemplates(rows *sql.Rows) ([]server.Template, error) {
	parts, err := collect(rows, func(r *sql.Rows) (t server.Template, err error) {
		var names, query string
		if err = r.Scan(&t.Name, &t.Tag, &names, &query); err != nil {
			return t, err
		}
		target, err := server.ParseTarget(names, query)
		t.Targets = []server.Target{target}
		return t, err
	})
	var out []server.Template
	for _, p := range parts {
		if last := len(out) - 1; last >= 0 && out[last].Name == p.Name {
			out[last].Targets = append(out[last].Targets, p.Targets...)
			continue
		}
		out = append(out, p)
	}
	return out, err
}

// RemoveTemplate removes a template with its audit row, or returns
// server.ErrNoTemplate.
func (s Server) RemoveTemplate(ctx context.Context, name, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := templateBefore(tx, name)
		if err != nil && !errors.Is(err, server.ErrTemplate) { // there are too many to add one
			return err
		}
		res, err := tx.Exec("observation_template.delete", name)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: %q", server.ErrNoTemplate, name)
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "observation.template", Subject: name, Before: before, After: "removed",
		})
	})
}
