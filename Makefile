# SPDX-License-Identifier: GPL-2.0
#
# Everything is built under build/; what belongs to one kernel release stands
# in build/RELEASE/, so that several kernels can be served side by side.

# The running kernel if its headers are here, else the newest that has some.
KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	$(shell ls -d /lib/modules/*/build 2>/dev/null | sort -rV))
RELEASE = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null)
MODULE_DIR = build/$(RELEASE)

.PHONY: all
all: module userspace ## the kernel module and the command

.PHONY: module
module: ## the module for the kernel whose build directory is KDIR
	@test -n "$(KDIR)" || { \
		echo "no kernel headers: install linux-headers-$(shell uname -r)," \
			"or say KDIR=DIRECTORY" >&2; exit 1; }
	@tests/guest/stage-module $(MODULE_DIR)
	+flock $(MODULE_DIR) $(MAKE) -C $(KDIR) M=$(CURDIR)/$(MODULE_DIR)/kernel modules

.PHONY: userspace
userspace: ## the command blkjob, in build/userspace/
	$(MAKE) -C userspace

.PHONY: demo
demo: ## a live migration, from nothing, in a throw-away guest
	tests/deps demo
	tests/demo

.PHONY: check
check: ## every test that decides whether a change may go in
	tests/check/run

.PHONY: check-long
check-long: ## the same with long runs and all kernels
	tests/check/run --long

.PHONY: bench
bench: ## performance figures, beside those of the alternatives
	tests/deps guest
	tests/bench/run

.PHONY: lint
lint: ## static checks only
	tests/check/lint

.PHONY: install
install: ## the command and its manual page, below DESTDIR
	$(MAKE) -C userspace install

.PHONY: modules_install
modules_install: module ## the module, into the kernel's own directory
	$(MAKE) -C $(KDIR) M=$(CURDIR)/$(MODULE_DIR)/kernel modules_install

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z_-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | \
		while IFS='	' read -r goal what; do \
			printf '  %-16s %s\n' "$$goal" "$$what"; done
