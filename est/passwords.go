package est

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"steward/lwm2m/audit"
)

func sumText(text string) Hash { return sha256.Sum256([]byte(text)) }

// minute is how times stand in the audit.
const minute = "2006-01-02 15:04Z"

// userLength is that of a user name: enough that no two are alike.
const userLength = 12

// MakePassword makes a one-time password and returns its secret, which nobody can
// ask for again. It returns ErrPasswordOptions, or ErrOptions if the Store keeps
// no passwords.
func (ca *CA) MakePassword(ctx context.Context, n NewPassword) (Password, string, error) {
	n, err := n.check()
	if err != nil {
		return Password{}, "", err
	}
	if ca.o.Passwords == nil {
		return Password{}, "", fmt.Errorf("%w: no store of passwords", ErrOptions)
	}
	secret := rand.Text() // 128 bits at least
	now := ca.now()
	p := Password{
		ID: strings.ToLower(rand.Text()[:userLength]), Hash: sumText(secret), Name: n.Name, Total: n.Uses, Left: n.Uses,
		State: PasswordOpen, ExpiresAt: stamp(now.Add(n.Lifetime)), CreatedAt: now, CreatedBy: ca.actor, ChangedAt: now,
	}
	why := fmt.Sprintf("one-time password for %s, %d uses, until %s", p.Name, p.Total, p.ExpiresAt.Format(minute))
	err = ca.o.Store.Commit(ctx, Change{
		Password: &p, Audit: []audit.Row{ca.passwordRow("password.make", p, why, "", PasswordOpen)},
	})
	if err != nil {
		return Password{}, "", err
	}
	p.Version = 1
	return p, secret, nil
}

// WithdrawPassword takes a password back. One that is used up or withdrawn stays as
// it is. It returns ErrUnknown.
func (ca *CA) WithdrawPassword(ctx context.Context, id string) (Password, error) {
	return again(func() (Password, error) {
		p, err := ca.password(ctx, id)
		if err != nil || p.State != PasswordOpen {
			return p, err
		}
		before := p.State
		p, err = ca.stepPassword(p, PasswordWithdraw)
		if err != nil {
			return Password{}, err
		}
		row := ca.passwordRow("password.withdraw", p, "one-time password for "+p.Name, before, p.State)
		if err := ca.commit(ctx, Change{Password: &p, Audit: []audit.Row{row}}); err != nil {
			return Password{}, err
		}
		p.Version++
		return p, nil
	})
}

// WithdrawPasswords takes all passwords back that are open, as after a restoration
// from a backup, which knows nothing of the uses since. It returns how many.
func (ca *CA) WithdrawPasswords(ctx context.Context) (n int, err error) {
	for before := ""; ; {
		page, err := ca.ListPasswords(ctx, before, MaxPage)
		if err != nil || len(page) == 0 {
			return n, err
		}
		for _, p := range page {
			before = p.ID
			if p.State != PasswordOpen {
				continue
			}
			if _, err := ca.WithdrawPassword(ctx, p.ID); err != nil {
				return n, err
			}
			n++
		}
	}
}

// ListPasswords returns passwords as Passwords does.
func (ca *CA) ListPasswords(ctx context.Context, before string, limit int) ([]Password, error) {
	if ca.o.Passwords == nil {
		return nil, nil
	}
	return ca.o.Passwords.Passwords(ctx, before, limit)
}

func (ca *CA) password(ctx context.Context, id string) (Password, error) {
	if ca.o.Passwords == nil {
		return Password{}, fmt.Errorf("%w: password", ErrUnknown)
	}
	return ca.o.Passwords.Password(ctx, id)
}

func (ca *CA) stepPassword(p Password, on PasswordEvent) (Password, error) {
	row, err := PasswordTable.Step(p.State, on)
	if err != nil {
		return p, fmt.Errorf("password of %s: %w", p.Name, err)
	}
	p.State, p.ChangedAt = row.To, ca.now()
	return p, nil
}

func (ca *CA) passwordRow(action string, p Password, why string, before, after PasswordState) audit.Row {
	return audit.Row{
		Actor: ca.actor, Action: action, Subject: p.ID, Reason: why, Before: string(before), After: string(after),
		At: ca.now(),
	}
}

// CheckPassword says which password a user's secret belongs to. It returns
// ErrPassword, also for one that was withdrawn or whose time is over; one that is
// used up still proves who asks.
func (ca *CA) CheckPassword(ctx context.Context, user, secret string) (Password, error) {
	p, err := ca.password(ctx, user)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Password{}, err
	}
	given := sumText(secret) // an unknown user costs as much as a known one
	same := subtle.ConstantTimeCompare(given[:], p.Hash[:]) == 1
	switch {
	case err != nil:
		return Password{}, fmt.Errorf("%w: no user %.32q", ErrPassword, user)
	case !same:
		return Password{}, fmt.Errorf("%w: secret of %s", ErrPassword, p.ID)
	case p.State == PasswordWithdrawn:
		return Password{}, fmt.Errorf("%w: %s was withdrawn", ErrPassword, p.ID)
	case !ca.now().Before(p.ExpiresAt):
		return Password{}, fmt.Errorf("%w: %s is over since %s", ErrPassword, p.ID, p.ExpiresAt.Format(minute))
	}
	return p, nil
}

// EnrolByPassword answers a request whose client proved a one-time password
// (CheckPassword), whatever r.Client is: an operational certificate for a name that
// it covers. Who made the password has approved it. The same request gets the stored
// answer, the same key in another request a new certificate; neither costs a use. A
// name that a device's right holds is refused, and by a pattern one that has a live
// certificate: a pattern takes nobody's place. A password for one name does, and
// revokes what was before in the transaction that uses it up.
//
// It returns ErrForbidden, ErrEndpoint, ErrPending, ErrLimit, ErrCSR, ErrCSRSize,
// ErrKey, ErrBinding or ErrName. All but ErrPending are audited; nothing is issued.
func (ca *CA) EnrolByPassword(ctx context.Context, p Password, r Request) (Issued, error) {
	out, err := ca.enrolByPassword(ctx, p.ID, r)
	if err == nil {
		return out, nil
	}
	asks := Client{Certificate: p.client(""), Name: p.Name}
	return Issued{}, ca.refused(ctx, "enrol", asks, fmt.Errorf("password %s: %w", p.ID, err))
}

func (ca *CA) enrolByPassword(ctx context.Context, id string, r Request) (Issued, error) {
	csr, err := ParseCSR(r.CSR)
	if err != nil {
		return Issued{}, err
	}
	if err := ca.admitPassword(ctx, id, csr.Name()); err != nil {
		return Issued{}, err
	}
	o := &order{csr: csr, binding: r.Binding}
	if err := ca.o.Profiles.Operational.bound(o); err != nil {
		return Issued{}, err
	}
	return again(func() (Issued, error) {
		p, err := ca.password(ctx, id)
		if err != nil {
			return Issued{}, err
		}
		return ca.usePassword(ctx, p, csr)
	})
}

// admitPassword counts a request by a password. All names that it is not for count as
// one: who has a password cannot make up more to be asked about.
func (ca *CA) admitPassword(ctx context.Context, id, name string) error {
	p, err := ca.password(ctx, id)
	if err != nil {
		return err
	}
	if !p.covers(name) {
		name = ""
	}
	return ca.limiter.admit(sumText(id+" "+name), ca.now())
}

// usePassword issues once, by the password as just read.
func (ca *CA) usePassword(ctx context.Context, p Password, csr *CSR) (Issued, error) {
	name := csr.req.Subject.CommonName
	if !p.covers(name) {
		return Issued{}, fmt.Errorf("%w: it is for %q, not %q", ErrName, p.Name, name)
	}
	if err := csr.checkOwner(name); err != nil {
		return Issued{}, err
	}
	asks := Client{Certificate: p.client(name), Name: name}
	if old, ok, err := ca.stored(ctx, asks, csr, name); ok || err != nil {
		return old, err
	}
	o := &order{client: asks, csr: csr}
	ch := Change{Sole: name}
	spent, err := ca.takeOver(ctx, p, o, &ch)
	if err != nil {
		return Issued{}, err
	}
	if p.State != PasswordOpen && !spent {
		return Issued{}, fmt.Errorf("%w: it is %s", ErrForbidden, p.State)
	}
	if err := ca.uncompromised(ctx, csr.SPKI); err != nil {
		return Issued{}, err
	}
	o.still = func(ctx context.Context) error {
		now, err := ca.password(ctx, p.ID)
		return unchanged(p.Version, now.Version, err)
	}
	cert, record, err := ca.certify(ctx, o, name)
	if err != nil {
		return Issued{}, err
	}
	record.Client, record.CSR = asks.Certificate, csr.Hash
	ch.Errands = o.errands
	if err := ca.spend(p, record, spent, &ch); err != nil {
		return Issued{}, err
	}
	if err := ca.commit(ctx, ch); err != nil {
		return Issued{}, err
	}
	return ca.answer(cert, record), nil
}

// takeOver adds to ch the revocation of what the name had before, if p may do that.
// spent is true if p has been used for this name and this key: who lost the answer and
// signs its request anew gets another certificate, and no use is counted.
func (ca *CA) takeOver(ctx context.Context, p Password, o *order, ch *Change) (spent bool, err error) {
	name := o.client.Name
	records, err := ca.o.Store.Certificates(ctx, Query{Kind: KindOperational, Status: StatusValid, Name: name})
	if err != nil {
		return false, err
	}
	for _, r := range records {
		mine := r.Client == o.client.Certificate && r.SPKI == o.csr.SPKI && r.Live(ca.now()) == nil
		if r.Factory != (Hash{}) || p.pattern() && !mine && r.Live(ca.now()) == nil {
			return false, fmt.Errorf("%w: %s has a certificate", ErrEndpoint, name)
		}
		spent = spent || mine
		ca.revoke(r, Superseded, "enrolled again with a one-time password", ch)
	}
	return spent, nil
}

// spend adds to ch the new certificate and the use of p, unless that is spent already.
func (ca *CA) spend(p Password, record Record, spent bool, ch *Change) error {
	ch.Insert = append(ch.Insert, record)
	ch.Audit = append(ch.Audit,
		ca.row("certificate.issue", record.Hash, "enrolled with one-time password "+p.ID, "", string(StatusValid)))
	if !spent {
		before, on := p.State, PasswordUse
		if p.Left--; p.Left <= 0 {
			on = PasswordLast
		}
		next, err := ca.stepPassword(p, on)
		if err != nil {
			return err
		}
		ch.Password = &next
		why := fmt.Sprintf("%s enrolled, %d uses left", record.Name, next.Left)
		ch.Audit = append(ch.Audit, ca.passwordRow("password.use", next, why, before, next.State))
	}
	for i := range ch.Audit {
		ch.Audit[i].Actor = "device:" + record.Name
	}
	return nil
}
