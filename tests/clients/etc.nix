# /etc as NixOS fills it when it starts: a tree of links into the store, which a program puts in place. What has a mode beside it
# is copied, for the owner that is there too; all else becomes a link through /etc/static.
{ pkgs, ... }:
with pkgs;
let
  tree = runCommand "etc" { } ''
    mkdir -p $out/etc/app/conf.d
    cd $out/etc
    ln -s ${writeText "motd" "welcome\n"} motd
    ln -s ${writeText "one" "one\n"} app/conf.d/one
    ln -s ${writeText "hosts" "127.0.0.1 localhost\n"} hosts
    ln -s ${writeText "key" "secret\n"} app/key
    echo 0440 > app/key.mode
    echo app > app/key.uid
    echo +7 > app/key.gid
    ln -s ../usr/share/zoneinfo/UTC localtime
    echo direct-symlink > localtime.mode
  '';
  program = writeText "fill-etc.pl" ''
    use strict;
    use warnings;
    use File::Basename qw(dirname);
    use File::Copy qw(copy);
    use File::Find qw(find);
    use File::Path qw(make_path);

    my ($tree) = @ARGV;
    my $static = "/etc/static";

    sub link_to {
      my ($target, $path) = @_;
      symlink($target, "$path.new") && rename("$path.new", $path) || die "$path: $!";
    }

    sub said_of {
      my ($path, $default) = @_;
      open(my $file, "<", $path) or return $default;
      chomp(my $line = <$file>);
      return $line;
    }

    link_to($tree, $static);
    find({ no_chdir => 1, wanted => sub {
      my $from = $_;
      return unless -l $from;
      my $name = substr($from, length("$tree/"));
      my $to = "/etc/$name";
      make_path(dirname($to));
      my $mode = said_of("$from.mode", "symlink");
      if ($mode eq "symlink") {
        link_to("$static/$name", $to);
      } elsif ($mode eq "direct-symlink") {
        link_to(readlink($from), $to);
      } else {
        my ($uid, $gid) = (said_of("$from.uid", "+0"), said_of("$from.gid", "+0"));
        $uid = $uid =~ /^\+(\d+)$/ ? $1 : getpwnam($uid) // die "no user $uid";
        $gid = $gid =~ /^\+(\d+)$/ ? $1 : getgrnam($gid) // die "no group $gid";
        copy($from, "$to.new") && chown($uid, $gid, "$to.new") && chmod(oct $mode, "$to.new") or die "$to: $!";
        rename("$to.new", $to) or die "$to: $!";
      }
    } }, $tree);
  '';
in
# The commands
"mkdir -m 0755 -p /etc; ${perl}/bin/perl ${program} ${tree}/etc"
