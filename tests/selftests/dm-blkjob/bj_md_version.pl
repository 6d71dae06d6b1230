#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# bj_md_version.pl FILE VERSION: the superblock at the beginning of FILE says
# that it has that version, and its checksums are right.

use strict;
use warnings;

sub crc32c {
	my $crc = 0xffffffff;

	for (unpack 'C*', shift) {
		$crc ^= $_;
		$crc = $crc >> 1 ^ ($crc & 1 ? 0x82f63b78 : 0) for 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}

my ($file, $version) = @ARGV;
my $all = '';
open(my $in, '+<:raw', $file) or die "$file: $!\n";
while (read $in, my $sector, 512) {
	substr($sector, 8, 2) = pack 'v', $version;
	substr($sector, 0, 4) = pack 'V', crc32c(substr $sector, 4);
	$all .= $sector;
}
seek $in, 0, 0;
print $in $all;
close $in or die "$file: $!\n";
