package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/web"
	"steward/web/account"
)

// A user is a person as the REST API shows one.
type user struct {
	Name       string    `json:"name"`
	Display    string    `json:"display,omitempty"`
	Role       string    `json:"role"`
	Groups     web.Scope `json:"groups"`
	State      string    `json:"state"`
	SignedInAt time.Time `json:"signed_in_at,omitzero"`
	Link       string    `json:"url,omitempty"`
}

// users commands people over REST, or in the directory of a stopped provider.
type users struct {
	*operator

	m maintenance
}

func newUsers() *cobra.Command {
	u := &users{operator: &operator{}}
	cmd := u.command("users", "People who may sign in",
		`People sign in by a one-time link first, and by a password, a passkey or their
provider of identities from then on. With --data, the provider that does not run in
that directory is changed: so an administrator who was lost comes in again.`)
	p := cmd.PersistentFlags()
	p.StringVar(&u.m.data, "data", "", "`directory` of a provider that does not run")
	p.StringVar(&u.m.file, "config", "", "TOML `file` with its settings")
	cmd.Example = `  steward users list
  steward users add ann --role operator+release --groups north,south
  steward users link ann
  steward users reset admin --data /var/lib/steward`
	cmd.AddCommand(u.list(), u.add(),
		u.act(account.SendLink, "Make a one-time sign-in link"),
		u.act(account.Disable, "End sessions and tokens; nothing lets them in"),
		u.act(account.Enable, "Let them in again"),
		u.act(account.ForceRenew, "Have the password replaced at the next sign-in"),
		u.act(account.Reset, "Take password, passkeys, tokens and sessions away, and make a sign-in link"))
	return cmd
}

// offline reports whether a stopped provider is meant.
func (u *users) offline() bool { return u.m.data != "" || u.m.file != "" }

// stopped does something with the people of a stopped provider.
func (u *users) stopped(ctx context.Context, do func(*app.People) error) (err error) {
	cfg, err := u.m.config()
	if err != nil {
		return err
	}
	people, err := app.OpenPeople(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		if e := people.Close(); err == nil {
			err = e
		}
	}()
	return do(people)
}

func userOf(p account.Person) user {
	return user{
		Name: p.Name, Display: p.Display, Role: string(p.Role), Groups: p.Scope, State: string(p.State),
		SignedInAt: p.SignedInAt,
	}
}

func (u *users) list() *cobra.Command {
	head := []string{"NAME", "ROLE", "GROUPS", "STATE", "SIGNED IN", "DISPLAY"}
	row := func(p user) []string {
		return []string{
			p.Name, p.Role, strings.Join(p.Groups.Groups(), ","), p.State, moment(p.SignedInAt), p.Display,
		}
	}
	return &cobra.Command{
		Use: "list", Short: "List the people", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !u.offline() {
				return list(cmd, u.operator, "/people", head, row)
			}
			return u.stopped(cmd.Context(), func(p *app.People) error {
				all, err := everybody(cmd.Context(), p)
				if err != nil {
					return err
				}
				return u.print(cmd, all, func() [][]string {
					rows := [][]string{head}
					for _, one := range all {
						rows = append(rows, row(one))
					}
					return rows
				})
			})
		},
	}
}

// everybody returns all people of a stopped provider.
func everybody(ctx context.Context, p *app.People) ([]user, error) {
	all := []user{}
	for after := ""; ; after = all[len(all)-1].Name {
		found, err := p.ListPeople(ctx, after, account.MaxPeople)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			all = append(all, userOf(one))
		}
		if len(found) < account.MaxPeople {
			return all, nil
		}
	}
}

func (u *users) add() *cobra.Command {
	var display, role string
	var groups []string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Let somebody in: makes a one-time sign-in link", Args: one("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := web.ParseRole(role)
			if err != nil {
				return fmt.Errorf("%w: --role %q; viewer, operator, release, security, admin, joined by +", errMisused, role)
			}
			scope, err := web.ParseScope(groups)
			if err != nil {
				return fmt.Errorf("%w: --groups: %w", errMisused, err)
			}
			made := user{Name: args[0], Display: display, Role: string(parsed), Groups: scope, State: "active"}
			if !u.offline() {
				api, err := u.api()
				if err != nil {
					return err
				}
				in := map[string]any{"name": args[0], "display": display, "role": parsed, "groups": scope}
				if err := api.Post(cmd.Context(), "/people", in, &made); err != nil {
					return err
				}
				return u.show(cmd, made)
			}
			return u.stopped(cmd.Context(), func(p *app.People) error {
				link, err := p.AddPerson(cmd.Context(), web.System(), account.NewPerson{
					Name: args[0], Display: display, Role: parsed, Scope: scope,
				}, p.Now())
				if err != nil {
					return err
				}
				made.Link = p.Address(link)
				return u.show(cmd, made)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "viewer", "viewer, operator, release, security or admin; several are joined by +")
	cmd.Flags().StringVar(&display, "display", "", "how they are shown")
	cmd.Flags().StringSliceVar(&groups, "groups", nil, "only devices of these groups")
	return cmd
}

func (u *users) act(action account.Action, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: string(action) + " NAME", Short: short, Args: one("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !u.offline() {
				api, err := u.api()
				if err != nil {
					return err
				}
				var out struct {
					Person user   `json:"person"`
					URL    string `json:"url"`
				}
				in := map[string]any{"action": action, "reason": reason}
				if err := api.Post(cmd.Context(), "/people/"+url.PathEscape(args[0])+"/commands", in, &out); err != nil {
					return err
				}
				out.Person.Link = out.URL
				return u.show(cmd, out.Person)
			}
			return u.stopped(cmd.Context(), func(p *app.People) error {
				link, person, err := p.Command(cmd.Context(), web.System(), args[0], action, reason, p.Now())
				if err != nil {
					return err
				}
				out := userOf(person)
				if link != "" {
					out.Link = p.Address(link)
				}
				return u.show(cmd, out)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func (u *users) show(cmd *cobra.Command, p user) error {
	return u.print(cmd, p, func() [][]string {
		rows := [][]string{
			{"name", p.Name},
			{"role", p.Role},
			{"groups", strings.Join(p.Groups.Groups(), ",")},
			{"state", p.State},
		}
		if p.Link != "" {
			rows = append(rows, []string{"link", p.Link})
		}
		return rows
	})
}
