#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# bj_prom.pl FILE [SERIES]...: FILE is strict Prometheus text format 0.0.4, and
# its histograms are sound. Prints the value of each SERIES, written as in the
# file: name{label="value",...}.

use strict;
use warnings;

my ($file, @wanted) = @ARGV;
my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $value = qr/(?:[0-9]+(?:\.[0-9]+)?|\+Inf)/;
my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"/;
my ($metric, $type, %types, %series, %histograms);

sub wrong {
	die "$file:$.: @_\n";
}

sub header {
	my ($word, $of, $text) = @_;

	if ($word eq 'HELP') {
		wrong("$of comes twice") if exists $types{$of};
		wrong("no TYPE for $metric") if defined $metric && !$type;
		($metric, $type) = ($of, undef);
		$types{$of} = '';
		return;
	}
	wrong("TYPE without its HELP") if !defined $metric || $of ne $metric;
	wrong("type $text") unless $text =~ /^(?:counter|gauge|histogram)$/;
	wrong("a counter that is not _total")
		if ($text eq 'counter') != ($of =~ /_total$/);
	$type = $types{$of} = $text;
}

sub sample {
	my ($series, $of, $labels, $number) = @_;
	my $suffix = '';

	wrong("$of without TYPE") unless $type;
	wrong("$series comes twice") if exists $series{$series};
	$series{$series} = $number;
	if ($type ne 'histogram') {
		wrong("$of among $metric") if $of ne $metric;
		return;
	}
	$of =~ /^\Q$metric\E_(bucket|sum|count)$/ or wrong("$of among $metric");
	$suffix = $1;
	my $le = $labels =~ s/(?:^|,)le="([^"]*)"// ? $1 : undef;
	wrong("le at $suffix") if defined $le != ($suffix eq 'bucket');
	my $h = $histograms{"$metric\{$labels}"} //= { le => -1, n => 0 };
	if ($suffix eq 'bucket') {
		wrong("bucket behind the last") if $h->{le} eq '+Inf';
		wrong("le $le is no number") unless $le =~ /^$value$/;
		wrong("le $le is not sorted")
			if $le ne '+Inf' && $le <= $h->{le};
		wrong("fewer than before") if $number < $h->{n};
		@$h{qw(le n)} = ($le, $number);
	} else {
		$h->{$suffix} = $number;
	}
}

open(my $in, '<', $file) or die "$file: $!\n";
while (<$in>) {
	s/\n\z// or wrong('no end of line');
	if (/^# (HELP|TYPE) ($name) (\S.*)$/) {
		header($1, $2, $3);
	} elsif (/^(($name)\{((?:$label(?:,$label)*)?)\}) ($value)$/) {
		sample($1, $2, $3, $4);
	} else {
		wrong("no sample and no comment: $_");
	}
}
for (sort keys %histograms) {
	my $h = $histograms{$_};

	die "$_ has no last bucket\n" if $h->{le} ne '+Inf';
	die "$_ has no sum or no count\n"
		unless defined $h->{sum} && defined $h->{count};
	die "$_: count $h->{count}, in buckets $h->{n}\n"
		if $h->{count} != $h->{n};
}
for (@wanted) {
	die "$file: no $_\n" unless exists $series{$_};
	print "$series{$_}\n";
}
