#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
#
# bj_json.pl job|jobs|stats|all-stats|check|dump|... FILE [KEY]: each line of FILE is
# strict JSON of that kind, with all keys in their order and values of the right
# type. Prints the values of KEY, a line each.

use strict;
use warnings;
use JSON::PP;

# s string, n number, b boolean, a array, a@KIND of these, ? or null
my %kinds = (
	job => [qw(id:s type:s status:s device:s source:s target:s len:n
		   offset:n dirty:n rate:n dirty_rate:n eta:n? speed:n ready:b
		   paused:b busy:b io-status:s actively-synced:b error:s?
		   pause_us:n? result:s? active:s? converge:s? replaces:s?
		   group:s? cbw:n? reversed:b? rework:n?
		   remembers:b?)],
	event => [qw(id:s time_us:n event:s)],
	verify => [qw(id:s length:n equal:b differ:a not-compared:a)],
	map => [qw(id:s length:n dirty:a)],
	changed => [qw(id:s length:n since:s changed:a)],
	stats => [qw(id:s status:s device:s sample:n reads:n writes:n flushes:n
		     copied:n zeroed:n recopied:n passes:n source_errors:n
		     target_errors:n latency:a@histogram)],
	histogram => [qw(op:s leg:s? count:n sum_us:n max_us:n p50_us:n p99_us:n
			 buckets:a@bucket)],
	bucket => [qw(le_us:n? count:n)],
	dump => [qw(version:n type:s length:n identity:s? granularity:n size:n
		    places:n damaged:n checkpoints:a@checkpoint since:s?)],
	"dump-stream" => [qw(version:n type:s length:n identity:s? target_length:n?
			     target_identity:s? note:s? granularity:n size:n
			     places:n damaged:n ended:b bitmaps:a@bitmap since:s?)],
	bitmap => [qw(name:s time_us:n state:s set:n)],
	checkpoint => [qw(name:s time_us:n state:s changed:n)],
	check => [qw(ok:b version:s? source:s? target:s? error:s?)],
);

sub type_of {
	my $value = shift;

	return '?' unless defined $value;
	return 'b' if JSON::PP::is_bool($value);
	return 'a' if ref $value eq 'ARRAY';
	return 'other' if ref $value;
	return JSON::PP->new->allow_nonref->encode($value) =~ /^"/ ? 's' : 'n';
}

sub check_object {
	my ($object, $spec, $text) = @_;
	my $at = 0;

	die "not an object\n" unless ref $object eq 'HASH';
	for (@$spec) {
		my ($key, $types) = /^(.*):(.*)$/;
		my $type = type_of($object->{$key});

		die "no key $key\n" unless exists $object->{$key};
		die "$key has type $type, not $types\n"
			unless index($types, $type) >= 0;
		if (my ($kind) = $types =~ /^a@(.*)/) {
			$$text = substr($$text, $at);
			$at = 0;
			check_object($_, $kinds{$kind}, $text) for @{$object->{$key}};
			next;
		}
		my $found = index($$text, "\"$key\":", $at);
		die "$key is not where it was\n" if $found < 0;
		$at = $found;
	}
	$$text = substr($$text, $at);
}

# Ranges as "start+length ...".
sub text_of {
	my $value = shift // return 'null';

	return $value unless ref $value eq 'ARRAY';
	for (@$value) {
		die "a range without numbers\n"
			unless type_of($_->{start}) eq 'n' &&
			       type_of($_->{length}) eq 'n';
	}
	return join ' ', map { "$_->{start}+$_->{length}" } @$value;
}

my ($kind, $file, $key) = @ARGV;
my $many = $kind =~ s/^(?:(job)s|all-(stats))$/$1 || $2/e;
open(my $in, '<', $file) or die "$file: $!\n";
while (my $text = <$in>) {
	my $value = JSON::PP->new->utf8->decode($text);

	die "not an array\n" if $many && ref $value ne 'ARRAY';
	for my $object ($many ? @$value : $value) {
		check_object($object, $kinds{$kind}, \$text);
		print text_of($object->{$key}), "\n" if defined $key;
	}
}
