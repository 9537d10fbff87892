-- What each certificate costs: its name finds those that name a factory certificate.
DROP INDEX certificate_factory;
