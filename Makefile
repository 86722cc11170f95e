# The usual targets and variables of GNU packages; `make help` lists them.

prefix ?= $(or $(PREFIX),/usr/local)
exec_prefix ?= $(prefix)
bindir ?= $(exec_prefix)/bin
sbindir ?= $(exec_prefix)/sbin
libexecdir ?= $(exec_prefix)/libexec
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
sysconfdir ?= /etc
localstatedir ?= /var
# systemd looks here for units of /usr/local as well as of /usr.
libdir ?= $(prefix)/lib
unitdir ?= $(libdir)/systemd/system
userunitdir ?= $(libdir)/systemd/user
sysusersdir ?= $(libdir)/sysusers.d
tmpfilesdir ?= $(libdir)/tmpfiles.d
# Where PAM looks for modules, and pam-auth-update (Debian) for profiles: not below PREFIX.
pam_unix = $(firstword $(wildcard $(foreach lib,/usr/lib/$(shell uname -m)-linux-gnu* /lib/$(shell uname -m)-linux-gnu* \
  /usr/lib64 /lib64 /usr/lib /lib /usr/lib/*,$(lib)/security/pam_unix.so)))
pamdir ?= $(if $(pam_unix),$(patsubst %/,%,$(dir $(pam_unix))),/usr/lib/security)
pamconfigdir ?= /usr/share/pam-configs
pkglibexecdir = $(libexecdir)/wrd-dm

# release, or dev (which is optimised too; what the tests use).
PROFILE ?= release
# Seconds for each fuzz target.
TIME ?= 60
DEMO_ARGS ?= --listen 127.0.0.1:3389

# rustup puts cargo where sudo and cron do not look.
CARGO ?= $(firstword $(shell command -v cargo) $(wildcard $(HOME)/.cargo/bin/cargo) cargo)
CARGO_TARGET_DIR ?= target
INSTALL ?= install
SCDOC ?= scdoc
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

out = $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
programs = wrd-dm wrd-gate wrd-leader wrd-session wrdctl
pam_module = $(out)/libpam_wrd_enroll.so
binaries = $(programs:%=$(out)/%) $(pam_module)
helpers = wrd-gate wrd-leader wrd-session
man_sources = $(wildcard man/*.scd)
man_pages = $(man_sources:man/%.scd=$(CARGO_TARGET_DIR)/man/%)
units = $(wildcard units/*.socket units/*.service units/*.target)
user_units = $(wildcard units/user/*)
root = $(filter 0,$(shell id -u))
D = $(DESTDIR)

.PHONY: all build man demo check test test-all bench fuzz install uninstall clean help

all: build man

help:
	@echo "all        the programs (PROFILE=release|dev) and the man pages"
	@echo "demo       a login server for you alone on 127.0.0.1:3389, no root, no systemd"
	@echo "check      format, lints, house rules, man pages"
	@echo "test       all tests in less than half an hour; test-all adds the slow ones"
	@echo "bench      the benchmarks, as JSON"
	@echo "fuzz       every fuzz target for TIME=$(TIME) seconds"
	@echo "install, uninstall   PREFIX=$(prefix), DESTDIR=, sysconfdir=$(sysconfdir)"
	@echo "clean"

build:
	tools/deps build
	$(CARGO) build --locked --profile $(PROFILE) $(programs:%=-p %) -p pam-wrd-enrol

man: $(man_pages)

$(CARGO_TARGET_DIR)/man/%: man/%.scd
	mkdir -p $(@D)
	$(SCDOC) < $< > $@

demo:
	@tools/deps build demo
	$(CARGO) build --locked $(programs:%=-p %)
	exec $(CARGO_TARGET_DIR)/debug/wrd-dm --standalone $(DEMO_ARGS)

check:
	tools/deps build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) xtask tidy
	$(MAKE) --no-print-directory man
	if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check
	else echo "check: cargo-deny is not installed, licences and advisories were not looked at"; fi

test:
	CARGO="$(CARGO)" CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)" tests/run

# Attacks with ten times as many connections.
test-all: export WRD_LONG = 1
test-all: test
	CARGO="$(CARGO)" CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)" tests/fresh-clone

# Boots a container, hence root; the result is JSON on standard output.
bench:
	@tools/deps build test >&2
	$(CARGO) build --locked --release $(programs:%=-p %) -p wrd-benches -p wrd-attacker >&2
	$(if $(root),,sudo) env CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)" $(CARGO_TARGET_DIR)/release/wrd-benches

fuzz:
	CARGO="$(CARGO)" tests/fuzz/run $(TIME)

# Building is no work for root: `make && sudo make install`. Where nothing is built yet, root does it.
$(binaries) &:
	$(MAKE) build

define put_unit
	sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@libexecdir@|$(pkglibexecdir)|g' -e 's|@sysconfdir@|$(sysconfdir)|g' $(1) > $(2)
	chmod 0644 $(2)
endef

install: $(binaries) $(if $(shell command -v $(SCDOC)),$(man_pages))
	$(INSTALL) -d -m 0755 $(D)$(sbindir) $(D)$(bindir) $(D)$(pkglibexecdir) $(D)$(unitdir) $(D)$(userunitdir) \
	  $(D)$(sysusersdir) $(D)$(tmpfilesdir) $(D)$(sysconfdir)/pam.d $(D)$(sysconfdir)/wrd-dm \
	  $(D)$(datadir)/bash-completion/completions $(D)$(datadir)/zsh/site-functions $(D)$(datadir)/fish/vendor_completions.d
	$(INSTALL) -m 0755 $(out)/wrd-dm $(D)$(sbindir)/wrd-dm
	$(INSTALL) -m 0755 $(out)/wrdctl $(D)$(bindir)/wrdctl
	for helper in $(helpers); do $(INSTALL) -m 0755 $(out)/$$helper $(D)$(pkglibexecdir)/$$helper; done
	for unit in $(notdir $(units)); do
	  $(call put_unit,units/$$unit,$(D)$(unitdir)/$$unit)
	done
	for unit in $(notdir $(user_units)); do
	  $(call put_unit,units/user/$$unit,$(D)$(userunitdir)/$$unit)
	done
	@# Of former versions; the sessions that it has started do not need it.
	rm -f $(D)$(unitdir)/wrd-leader@.service
	$(INSTALL) -m 0644 units/wrd-dm.sysusers.conf $(D)$(sysusersdir)/wrd-dm.conf
	$(INSTALL) -m 0644 units/wrd-dm.tmpfiles.conf $(D)$(tmpfilesdir)/wrd-dm.conf
	$(INSTALL) -m 0644 completions/wrdctl.bash $(D)$(datadir)/bash-completion/completions/wrdctl
	$(INSTALL) -m 0644 completions/_wrdctl $(D)$(datadir)/zsh/site-functions/_wrdctl
	$(INSTALL) -m 0644 completions/wrdctl.fish $(D)$(datadir)/fish/vendor_completions.d/wrdctl.fish
	for page in $(notdir $(man_pages)); do
	  [ -e $(CARGO_TARGET_DIR)/man/$$page ] || continue
	  $(INSTALL) -D -m 0644 $(CARGO_TARGET_DIR)/man/$$page $(D)$(mandir)/man$${page##*.}/$$page
	done
	@# The distribution's own stacks are included by name, and the names differ.
	flavour=fedora; [ ! -e $(D)$(sysconfdir)/pam.d/common-auth ] || flavour=debian
	[ -n "$(D)" ] || [ ! -e /etc/pam.d/common-auth ] || flavour=debian
	@# The module does nothing until somebody writes it into a stack, see pam_wrd_enroll(8).
	$(INSTALL) -D -m 0644 $(pam_module) $(D)$(pamdir)/pam_wrd_enroll.so
	[ $$flavour = fedora ] || $(INSTALL) -D -m 0644 pam.d/wrd-dm-enroll.pam-config $(D)$(pamconfigdir)/wrd-dm-enroll
	[ -e $(D)$(sysconfdir)/pam.d/wrd-dm ] || $(INSTALL) -m 0644 pam.d/wrd-dm.$$flavour $(D)$(sysconfdir)/pam.d/wrd-dm
	[ -e $(D)$(sysconfdir)/wrd-dm/wrd-dm.toml ] || $(INSTALL) -m 0644 docs/wrd-dm.toml $(D)$(sysconfdir)/wrd-dm/wrd-dm.toml
	@# The filter goes with the program's own words, so it is always replaced; the jail is off, what is set is elsewhere.
	$(INSTALL) -D -m 0644 fail2ban/wrd-dm.conf $(D)$(sysconfdir)/fail2ban/filter.d/wrd-dm.conf
	$(INSTALL) -D -m 0644 fail2ban/jail-wrd-dm.conf $(D)$(sysconfdir)/fail2ban/jail.d/wrd-dm.conf
ifeq ($(DESTDIR),)
	@# Only into the running system: its user, its directories, its systemd.
	if command -v systemd-sysusers >/dev/null; then
	  systemd-sysusers $(sysusersdir)/wrd-dm.conf
	  systemd-tmpfiles --create $(tmpfilesdir)/wrd-dm.conf
	fi
	if [ -d /run/systemd/system ]; then
	  systemctl daemon-reload
	  echo "installed; to serve logins: systemctl enable --now wrd-dm.socket"
	fi
endif

uninstall:
ifeq ($(DESTDIR),)
	if [ -d /run/systemd/system ]; then
	  systemctl -q disable --now $(filter %.socket %.service,$(notdir $(units))) 2>/dev/null || :
	fi
endif
ifeq ($(DESTDIR),)
	@# Out of the stacks before it is gone.
	if [ -e $(pamconfigdir)/wrd-dm-enroll ] && command -v pam-auth-update >/dev/null; then
	  pam-auth-update --package --remove wrd-dm-enroll
	fi
endif
	rm -f $(D)$(pamconfigdir)/wrd-dm-enroll $(D)$(pamdir)/pam_wrd_enroll.so
	rm -f $(D)$(sbindir)/wrd-dm $(D)$(bindir)/wrdctl $(helpers:%=$(D)$(pkglibexecdir)/%)
	rm -f $(foreach unit,$(notdir $(units)),$(D)$(unitdir)/$(unit)) \
	  $(foreach unit,$(notdir $(user_units)),$(D)$(userunitdir)/$(unit))
	rm -f $(D)$(sysusersdir)/wrd-dm.conf $(D)$(tmpfilesdir)/wrd-dm.conf $(D)$(sysconfdir)/pam.d/wrd-dm
	rm -f $(D)$(datadir)/bash-completion/completions/wrdctl $(D)$(datadir)/zsh/site-functions/_wrdctl \
	  $(D)$(datadir)/fish/vendor_completions.d/wrdctl.fish
	for page in $(man_sources:man/%.scd=%); do rm -f $(D)$(mandir)/man$${page##*.}/$$page; done
	rm -f $(D)$(sysconfdir)/fail2ban/{filter,jail}.d/wrd-dm.conf
	rmdir $(D)$(pkglibexecdir) 2>/dev/null || :
	@# Without fail2ban its folders were made for these two.
	rmdir $(D)$(sysconfdir)/fail2ban/filter.d 2>/dev/null && rmdir $(D)$(sysconfdir)/fail2ban/{jail.d,} 2>/dev/null || :
ifeq ($(DESTDIR),)
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
endif
	@echo "left in place: $(D)$(sysconfdir)/wrd-dm (configuration), $(D)$(localstatedir)/lib/wrd-dm (certificate, enrolments and their key), the user wrd-gate"

clean:
	$(CARGO) clean --target-dir $(CARGO_TARGET_DIR)
