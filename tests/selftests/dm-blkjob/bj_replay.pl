#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# bj_replay.pl LOG DEVICE MARK: what dm-log-writes has recorded up to this mark,
# onto the device. A write is in the log when a flush followed it, or it was
# FUA itself: so the device then holds what a power cut at the mark leaves for
# sure.

use strict;
use warnings;

use constant { DISCARD => 4, MARK => 8 };

my ($log, $device, $wanted) = @ARGV;

sub get {
	my ($in, $length) = @_;
	my $got = read($in, my $bytes, $length);

	die "the log is short\n" unless defined $got && $got == $length;
	return $bytes;
}

open(my $in, '<:raw', $log) or die "$log: $!\n";
open(my $out, '+<:raw', $device) or die "$device: $!\n";
my ($magic, $version, $entries, $block) = unpack('Q<3L<', get($in, 28));
die "not a log\n" unless $magic == 0x6a736677736872;
seek($in, $block, 0);
for (1 .. $entries) {
	my $entry = get($in, $block);
	my ($sector, $nr, $flags, $length) = unpack('Q<4', $entry);

	if ($flags & MARK) {
		exit(0) if substr($entry, 32, $length) eq $wanted;
		next;
	}
	next if $flags & DISCARD;
	seek($out, $sector * $block, 0);
	print $out get($in, $nr * $block) or die "$device: $!\n";
}
die "no mark $wanted\n";
