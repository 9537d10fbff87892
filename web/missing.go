package web

import (
	"context"
	"encoding/json"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
)

// missing stands for services that the composition root does not provide.
type missing struct{}

func (missing) Overview(context.Context, time.Time) (Overview, error) { return Overview{}, ErrNotBuilt }

func (missing) AuditChain(context.Context, int64) ([]audit.Record, error) { return nil, ErrNotBuilt }

func (missing) ListAudit(context.Context, AuditFilter, Page) (List[AuditRow], error) {
	return List[AuditRow]{}, ErrNotBuilt
}

func (missing) EraseDevice(context.Context, Actor, string, string, string) error { return ErrNotBuilt }

func (missing) RetireDevice(context.Context, Actor, string, Retirement) (Device, error) {
	return Device{}, ErrNotBuilt
}

func (missing) ChangeTags(context.Context, Actor, string, TagChange) (Device, error) {
	return Device{}, ErrNotBuilt
}

func (missing) ListDevices(context.Context, DeviceFilter, Page) (List[Device], error) {
	return List[Device]{}, ErrNotBuilt
}

func (missing) Device(context.Context, string) (DeviceDetail, error) {
	return DeviceDetail{}, ErrNotBuilt
}

func (missing) Values(context.Context, string, lwm2m.Path) ([]Value, error) { return nil, ErrNotBuilt }

func (missing) Do(context.Context, Actor, string, Operation) (Outcome, error) {
	return Outcome{}, ErrNotBuilt
}

func (missing) ListOperations(context.Context, string, Page) (List[DeviceOperation], error) {
	return List[DeviceOperation]{}, ErrNotBuilt
}

func (missing) DeviceOperation(context.Context, string, string) (DeviceOperation, error) {
	return DeviceOperation{}, ErrNotBuilt
}

func (missing) CancelOperation(context.Context, Actor, string, string) (DeviceOperation, error) {
	return DeviceOperation{}, ErrNotBuilt
}

func (missing) FactoryAuthorities(context.Context) ([]FactoryAuthority, error) {
	return nil, ErrNotBuilt
}

func (missing) AddFactoryAuthority(context.Context, Actor, []byte) (FactoryAuthority, error) {
	return FactoryAuthority{}, ErrNotBuilt
}

func (missing) ImportDevice(context.Context, Actor, NewDevice) (Device, error) {
	return Device{}, ErrNotBuilt
}

func (missing) ImportDevices(context.Context, Actor, []NewDevice) ([]ImportedDevice, error) {
	return nil, ErrNotBuilt
}

func (missing) ListCertificates(context.Context, CertificateFilter, Page) (List[Certificate], error) {
	return List[Certificate]{}, ErrNotBuilt
}

func (missing) Certificate(context.Context, string) (CertificateDetail, error) {
	return CertificateDetail{}, ErrNotBuilt
}

func (missing) Revoke(context.Context, Actor, string, Revocation) (Certificate, error) {
	return Certificate{}, ErrNotBuilt
}

func (missing) Inventory(context.Context) (Inventory, error) { return Inventory{}, ErrNotBuilt }

func (missing) DeviceEnrolment(context.Context, string) (DeviceEnrolment, error) {
	return DeviceEnrolment{}, ErrNotBuilt
}

func (missing) OrderEnrolment(context.Context, Actor, string, EnrolmentOrder) (DeviceEnrolment, error) {
	return DeviceEnrolment{}, ErrNotBuilt
}

func (missing) ListEnrolments(context.Context, string, Page) (List[DeviceEnrolment], error) {
	return List[DeviceEnrolment]{}, ErrNotBuilt
}

func (missing) Authorities(context.Context) ([]CertificateDetail, error) { return nil, ErrNotBuilt }

func (missing) ListReleases(context.Context, Page) (List[Release], error) {
	return List[Release]{}, ErrNotBuilt
}

func (missing) Release(context.Context, string) (ReleaseDetail, error) {
	return ReleaseDetail{}, ErrNotBuilt
}

func (missing) AddRelease(context.Context, Actor, NewRelease) (Release, error) {
	return Release{}, ErrNotBuilt
}

func (missing) DecideRelease(context.Context, Actor, string, ReleaseCommand) (Release, error) {
	return Release{}, ErrNotBuilt
}

func (missing) SetBill(context.Context, Actor, string, []byte) (BillSummary, error) {
	return BillSummary{}, ErrNotBuilt
}

func (missing) Bill(context.Context, string) ([]byte, error) { return nil, ErrNotBuilt }

func (missing) Parts(context.Context, string, Page) (List[Part], error) {
	return List[Part]{}, ErrNotBuilt
}

func (missing) Findings(context.Context, string, Page) (List[Finding], error) {
	return List[Finding]{}, ErrNotBuilt
}

func (missing) ListVulnerabilities(context.Context, Page) (List[Vulnerability], error) {
	return List[Vulnerability]{}, ErrNotBuilt
}

func (missing) VulnerabilityLists(context.Context) ([]VulnerabilityList, error) {
	return nil, ErrNotBuilt
}

func (missing) ImportVulnerabilities(context.Context, Actor, string, []byte) (VulnerabilityList, error) {
	return VulnerabilityList{}, ErrNotBuilt
}

func (missing) RemoveVulnerabilities(context.Context, Actor, string, string) error {
	return ErrNotBuilt
}

func (missing) ListCampaigns(context.Context, Page) (List[Campaign], error) {
	return List[Campaign]{}, ErrNotBuilt
}

func (missing) Campaign(context.Context, string) (Campaign, error) { return Campaign{}, ErrNotBuilt }

func (missing) PreviewCampaign(context.Context, NewCampaign, Page) (CampaignPreview, error) {
	return CampaignPreview{}, ErrNotBuilt
}

func (missing) Jobs(context.Context, string, JobFilter, Page) (List[Job], error) {
	return List[Job]{}, ErrNotBuilt
}

func (missing) CreateCampaign(context.Context, Actor, NewCampaign) (Campaign, error) {
	return Campaign{}, ErrNotBuilt
}

func (missing) CommandCampaign(context.Context, Actor, string, CampaignCommand) (Campaign, error) {
	return Campaign{}, ErrNotBuilt
}

func (missing) CampaignReport(context.Context, string, ReportFormat) (File, error) {
	return File{}, ErrNotBuilt
}

func (missing) ListPasswords(context.Context, Page) (List[OneTimePassword], error) {
	return List[OneTimePassword]{}, ErrNotBuilt
}

func (missing) MakePassword(context.Context, Actor, NewOneTimePassword) (MadePassword, error) {
	return MadePassword{}, ErrNotBuilt
}

func (missing) WithdrawPassword(context.Context, Actor, string) (OneTimePassword, error) {
	return OneTimePassword{}, ErrNotBuilt
}

func (missing) ListUpstream(context.Context, string, Page) (List[UpstreamRequest], error) {
	return List[UpstreamRequest]{}, ErrNotBuilt
}

func (missing) UpstreamRequest(context.Context, string) (UpstreamRequestDetail, error) {
	return UpstreamRequestDetail{}, ErrNotBuilt
}

func (missing) ImportUpstream(context.Context, Actor, string, string) (UpstreamRequest, error) {
	return UpstreamRequest{}, ErrNotBuilt
}

func (missing) DecideUpstream(context.Context, Actor, string, UpstreamDecision) (UpstreamRequest, error) {
	return UpstreamRequest{}, ErrNotBuilt
}

func (missing) ListCertificateRequests(context.Context, string, Page) (List[CertificateRequest], error) {
	return List[CertificateRequest]{}, ErrNotBuilt
}

func (missing) DecideCertificateRequest(context.Context, Actor, string, RequestDecision) (CertificateRequest, error) {
	return CertificateRequest{}, ErrNotBuilt
}

func (missing) TransferReport(context.Context, string) (TransferReport, error) {
	return TransferReport{}, ErrNotBuilt
}

func (missing) TransferRecord(context.Context, string) ([]byte, error) {
	return nil, ErrNotBuilt
}

func (missing) ListTransfers(context.Context, TransferFilter, Page) (List[Transfer], error) {
	return List[Transfer]{}, ErrNotBuilt
}

func (missing) Transfer(context.Context, string) (TransferDetail, error) {
	return TransferDetail{}, ErrNotBuilt
}

func (missing) Rows(context.Context, string, Page) (List[TransferRow], error) {
	return List[TransferRow]{}, ErrNotBuilt
}

func (missing) Draft(context.Context, Actor, NewTransfer) (Transfer, error) {
	return Transfer{}, ErrNotBuilt
}

func (missing) Command(context.Context, Actor, string, TransferCommand) (Transfer, error) {
	return Transfer{}, ErrNotBuilt
}

func (missing) Receipts(context.Context, string, string) ([]Receipt, error) { return nil, ErrNotBuilt }

func (missing) ListPartners(context.Context, Page) (List[Partner], error) {
	return List[Partner]{}, ErrNotBuilt
}

func (missing) Partner(context.Context, string) (Partner, error) { return Partner{}, ErrNotBuilt }

func (missing) AddPartner(context.Context, Actor, NewPartner) (Partner, error) {
	return Partner{}, ErrNotBuilt
}

func (missing) SetPartnerState(context.Context, Actor, string, PartnerChange) (Partner, error) {
	return Partner{}, ErrNotBuilt
}

func (missing) SetPartnerLimits(context.Context, Actor, string, PartnerLimits) (Partner, error) {
	return Partner{}, ErrNotBuilt
}

func (missing) Identity(context.Context) (json.RawMessage, error) { return nil, ErrNotBuilt }

func (missing) Retention(context.Context) (Retention, error)            { return Retention{}, ErrNotBuilt }
func (missing) DeviceSettings(context.Context) (json.RawMessage, error) { return nil, ErrNotBuilt }
