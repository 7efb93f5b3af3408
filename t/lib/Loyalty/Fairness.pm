package Loyalty::Fairness;

# The draw protocol once more, for tests to compare with: what a sweepstakes
# commits to, its records, its tree and its picks, written down from the
# protocol alone.  It shares no code with the module and is slow.
#
#     T($tag)  lp($bytes)  H($bytes)  HMAC($key, $bytes)  $Z  u16 u32 u64
#     round_at($ms)  round_time($round)
#     cid($program, $game, $open)  kp($master, $cid, $salt)
#     person($kp, $cid, $member)  entry_commit($salt, $member, $id)
#     entry(\%e)  entries($bytes): a list of hashes    leaf  root(@leaves)
#     pick($key, $tag, $p, $n, $from): ($x, $attempt)
#     winners($key, $tag, $entries, $first, $last, \%skip): a list of hashes

use strict;
use warnings;

use Digest::SHA qw(sha256 hmac_sha256);
use Exporter qw(import);

our @EXPORT = qw(T lp H HMAC u16 u32 u64 $Z round_at round_time cid kp
                 person entry_commit entry entries leaf root pick winners);

our $Z = "\0" x 32;


sub T { return "nginx-loyalty/1 $_[0]\0" }
sub H { return sha256($_[0]) }
sub HMAC { return hmac_sha256($_[1], $_[0]) }
sub lp { return pack('N', length $_[0]) . $_[0] }
sub u16 { return pack 'n', $_[0] }
sub u32 { return pack 'N', $_[0] }
sub u64 { return pack 'Q>', $_[0] }

sub round_at { return int(($_[0] - 1692803367000) / 3000) + 1 }
sub round_time { return 1692803367000 + ($_[0] - 1) * 3000 }


sub cid {
    my ($program, $game, $open) = @_;
    return substr H(T('campaign') . lp($program) . lp($game) . u64($open)),
                  0, 16;
}


sub kp {
    my ($master, $cid, $salt) = @_;
    return HMAC($master, T('pseudonym-key') . $cid . $salt);
}


sub person {
    my ($kp, $cid, $member) = @_;
    return HMAC($kp, T('person') . $cid . lp($member));
}


sub entry_commit {
    my ($salt, $member, $id) = @_;
    return H(T('entry-commit') . lp($salt) . lp(lp($member) . lp($id)));
}


sub entry {
    my ($e) = @_;
    return T('entry') . $e->{cid}
           . u64($e->{seq}) . u64($e->{t}) . u64($e->{first})
           . u32($e->{tickets}) . $e->{person} . $e->{commit}
           . pack('CC', $e->{method}, $e->{flags} // 0);
}


sub entries {
    my ($bytes) = @_;
    my @out;

    length($bytes) % 132 == 0 or die "not whole records: ", length $bytes, "\n";

    for my $record (unpack '(a132)*', $bytes) {
        my %e = (record => $record);

        @e{qw(tag cid seq t first tickets person commit method flags)} =
            unpack 'a22 a16 Q> Q> Q> N a32 a32 C C', $record;
        $e{tag} eq T('entry') or die "not an entry\n";
        push @out, \%e;
    }

    return @out;
}


sub leaf { return H("\0" . $_[0]) }


sub root {
    my (@leaves) = @_;
    my $k = 1;

    return H('') if !@leaves;
    return $leaves[0] if @leaves == 1;

    $k *= 2 while $k * 2 < @leaves;

    return H("\1" . root(@leaves[0 .. $k - 1])
             . root(@leaves[$k .. $#leaves]));
}


sub pick {
    my ($key, $tag, $p, $n, $from) = @_;
    my $over = (18446744073709551615 % $n + 1) % $n;

    for (my $a = $from // 0; $a < 2 ** 20; $a++) {
        my $x = unpack 'Q>', HMAC($key, T($tag) . u32($p) . u32($a));

        return ($x % $n, $a)
            if !$over || $x <= 18446744073709551615 - $over;
    }

    die "2^20 attempts\n";
}


# picks for the positions from first to last; those of skip are not chosen,
# nor is anybody twice.  The list ends when nobody is left.

sub winners {
    my ($key, $tag, $entries, $first, $last, $skip) = @_;
    my (@live, %voided, %left, @out);
    my %chosen = %{ $skip // {} };
    my $tickets = 0;

    $_->{flags} & 1 and $voided{$_->{first}} = 1 for @$entries;

    for my $e (grep { !($_->{flags} & 1) } @$entries) {
        push @live, $e;
        $tickets = $e->{first} + $e->{tickets};
        $left{$e->{person}} = 1 if !$voided{$e->{first}};
    }

    delete @left{keys %chosen};

    for my $p ($first .. $last) {
        last if !%left;

        for (my ($x, $a) = pick($key, $tag, $p, $tickets); ;
             ($x, $a) = pick($key, $tag, $p, $tickets, $a + 1))
        {
            my ($lo, $hi) = (0, $#live);

            while ($lo < $hi) {
                my $mid = int(($lo + $hi + 1) / 2);
                $live[$mid]{first} <= $x ? $lo = $mid : ($hi = $mid - 1);
            }

            my $e = $live[$lo];
            next if $voided{$e->{first}} || $chosen{$e->{person}};

            $chosen{$e->{person}} = 1;
            delete $left{$e->{person}};
            push @out, { position => $p, attempt => $a, ticket => $x,
                         seq => $e->{seq}, person => $e->{person} };
            last;
        }
    }

    return @out;
}


1;
