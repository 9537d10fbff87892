package services

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"steward/cmd/internal/sqlite"
	"steward/web"
)

// views implements web.Views.
type views struct{ *base }

// Views implements web.Views.
func (s *views) Views(ctx context.Context, of web.Actor) ([]web.SavedView, error) {
	all, err := s.DB.SavedViews().All(ctx, of.String())
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.SavedView, len(all))
	for i, v := range all {
		out[i] = showSavedView(v)
	}
	return out, nil
}

func showSavedView(v sqlite.SavedView) web.SavedView {
	return web.SavedView{
		ID: v.ID, Name: v.Name, Query: v.Query, Shared: v.Owner == "", CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy,
	}
}

// PutView implements web.Views.
func (s *views) PutView(ctx context.Context, by web.Actor, v web.SavedView) (web.SavedView, error) {
	if v.Shared && !by.Role.Includes(web.RoleShareViews) {
		return web.SavedView{}, forbidden("views for everybody need the role " + string(web.RoleShareViews))
	}
	if v.Name = strings.TrimSpace(v.Name); v.Name == "" {
		return web.SavedView{}, web.Invalid("name", "it needs a name")
	}
	if err := checkText("name", v.Name, maxTag); err != nil {
		return web.SavedView{}, err
	}
	query, err := s.checkQuery(v.Query)
	if err != nil {
		return web.SavedView{}, err
	}
	stored := sqlite.SavedView{
		ID: s.NewID(), Owner: by.String(), Name: v.Name, Query: query, CreatedAt: s.Now(), CreatedBy: by.String(),
	}
	if v.Shared {
		stored.Owner = ""
	}
	stored, err = s.DB.SavedViews().Put(ctx, stored, by.String())
	if errors.Is(err, sqlite.ErrSavedViews) {
		return web.SavedView{}, conflict(err.Error())
	}
	return showSavedView(stored), translate(err)
}

// checkQuery returns the query of an address of the inventory as it is stored.
func (s *views) checkQuery(text string) (string, error) {
	values, err := url.ParseQuery(strings.TrimPrefix(text, "?"))
	if err != nil || len(text) > web.MaxFilter {
		return "", web.Invalid("query", "want the query of an address, such as tag=x&columns=model")
	}
	columns, sized := values["columns"], values.Has("page_size")
	values.Del("columns")
	values.Del("page_size")
	values.Del("page_token")
	for name, all := range values {
		if len(all) == 1 && all[0] == "" { // as forms send what was left empty
			values.Del(name)
		}
	}
	if err := web.OnlyDeviceFilter(values); err != nil {
		return "", err
	}
	f, err := web.ParseDeviceFilter(values)
	if err != nil {
		return "", err
	}
	if _, err := s.plainSelection(f); err != nil {
		return "", err
	}
	out := f.Query()
	for _, c := range columns {
		if err := checkText("columns", c, maxTag); err != nil {
			return "", err
		}
		out.Add("columns", c)
	}
	if sized {
		return "", web.Invalid("query", "a view has no page size")
	}
	return out.Encode(), nil
}

// RemoveView implements web.Views.
func (s *views) RemoveView(ctx context.Context, by web.Actor, id string) error {
	v, err := s.DB.SavedViews().View(ctx, id)
	if err == nil && v.Owner != "" && v.Owner != by.String() {
		err = sqlite.ErrNoSavedView // nobody learns what others have
	}
	if err == nil && v.Owner == "" && !by.Role.Includes(web.RoleShareViews) {
		return forbidden("views for everybody need the role " + string(web.RoleShareViews))
	}
	if err == nil {
		err = s.DB.SavedViews().Remove(ctx, id, by.String())
	}
	if errors.Is(err, sqlite.ErrNoSavedView) {
		return notFound("view", id)
	}
	return translate(err)
}

// forbidden returns an ErrForbidden with its reason.
func forbidden(detail string) error { return &web.Error{Is: web.ErrForbidden, Detail: detail} }
